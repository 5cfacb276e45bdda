/* rotate.conf. */
#include "renew/conf.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/closest.h"
#include "lex/conf_disk.h"
#include "os/files.h"
#include "pki/ca.h"

#include <stdio.h>

enum { PERCENT = 100, TIMEOUT_MAX_S = 3600, WORD_LIMIT = 4096 };

struct setting_row {
    const char *name, *sources, *boot;
};

static const struct setting_row rows[RENEW_SETTINGS] = {
#define X(id, name, sources, boot, help) [RENEW_SET_##id] = { name, sources, boot },
#include "rotate.def"
#undef X
};

static const char *const source_names[] = {
    [RENEW_CA] = "ca", [RENEW_ACME] = "acme", [RENEW_COMMAND] = "command", [RENEW_BUNDLE] = "bundle"
};
static const char source_letters[] = {
    [RENEW_CA] = 'c', [RENEW_ACME] = 'a', [RENEW_COMMAND] = 'm', [RENEW_BUNDLE] = 'b'
};

const char *renew_source_name(enum renew_source source)
{
    return source_names[source];
}

struct renew_rule renew_rule_default(struct str name, enum renew_source source)
{
    struct renew_rule rule = { .name = name, .source = source, .timeout_s = 120, .keep_days = 30 };

    for (size_t i = 0; i < RENEW_SETTINGS; i++)
        if (rows[i].boot[0])
            rule.v[i] = str_c(rows[i].boot);
    return rule;
}

const struct renew_rule *renew_conf_find(const struct renew_conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->n; i++)
        if (str_equal(conf->rules[i].name, name))
            return &conf->rules[i];
    return NULL;
}

/* ---- words ---- */

static bool take_char(struct str *rest, bool *quoted, char word[WORD_LIMIT], size_t *n)
{
    char c = rest->p[0];

    *rest = str_from(*rest, 1);
    if (c == '"') {
        *quoted = !*quoted;
        return true;
    }
    if (*quoted && c == '\\' && rest->n > 0 && (rest->p[0] == '"' || rest->p[0] == '\\')) {
        c = rest->p[0];
        *rest = str_from(*rest, 1);
    }
    if (*n == WORD_LIMIT)
        return false;
    word[(*n)++] = c;
    return true;
}

enum code renew_words(struct str text, struct arena *arena, struct str *out, size_t *out_n, struct err *e)
{
    char word[WORD_LIMIT];
    size_t n_words = 0;

    for (text = str_trim(text); text.n > 0; text = str_trim(text)) {
        bool quoted = false;
        size_t n = 0;
        while (text.n > 0 && (quoted || !char_is_blank(text.p[0])))
            if (!take_char(&text, &quoted, word, &n))
                return err_set(e, E_LIMIT, "a word of a command is longer than %d bytes", WORD_LIMIT);
        if (quoted)
            return err_set(e, E_PARAM, "a double quote is not closed");
        if (n_words == RENEW_WORDS_MAX)
            return err_set(e, E_LIMIT, "a command has more than %d words", RENEW_WORDS_MAX);
        if (!arena_str(arena, str_of(word, n), &out[n_words++]))
            return err_set(e, E_NOMEM, "out of memory");
    }
    *out_n = n_words;
    return OK;
}

/* ---- reading ---- */

struct reading {
    struct arena *arena;
    struct diags *diags;
    struct renew_conf *conf;
    struct str path;
};

static void conf_complain(struct reading *r, const struct conf_entry *entry, const char *text,
                          struct str value)
{
    (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, entry->file, entry->line, "%s \"%.*s\"", text,
                    STR_ARG(value));
}

static void unknown_setting(struct reading *r, const struct conf_entry *entry)
{
    struct closest near = closest_begin(entry->sub);

    for (size_t i = 0; i < RENEW_SETTINGS; i++)
        closest_offer(&near, str_c(rows[i].name));
    struct diag *row = diags_add(r->diags, SEV_ERROR, E_CONFIG, entry->file, entry->line,
                                 "unrecognized setting \"%.*s\"", STR_ARG(entry->name));
    if (near.best.p)
        diags_hint(r->diags, row, "Perhaps you meant \"%.*s\".", STR_ARG(near.best));
}

static struct renew_rule *rule_of(struct reading *r, struct str name)
{
    struct renew_conf *conf = r->conf;

    for (size_t i = 0; i < conf->n; i++)
        if (str_equal(conf->rules[i].name, name))
            return &conf->rules[i];
    if (conf->n == RENEW_RULES_MAX)
        return NULL;
    conf->rules[conf->n] = renew_rule_default(name, RENEW_CA);
    return &conf->rules[conf->n++];
}

/* Pairs are names of directories, too, and words of the journal. */
static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return name.n > 0 && name.n <= CLOSEST_NAME_MAX;
}

static enum code read_entry(struct reading *r, const struct conf_entry *entry)
{
    size_t i = 0;

    if (!entry->name.p)
        return OK; /* its error is told already */
    if (!entry->sub.p) {
        conf_complain(r, entry, "settings are written NAME.setting, not", entry->name);
        return OK;
    }
    while (i < RENEW_SETTINGS && !str_equal_nocase(entry->sub, str_c(rows[i].name)))
        i++;
    struct str name = str_first(entry->name, entry->name.n - entry->sub.n - 1);
    if (i == RENEW_SETTINGS)
        unknown_setting(r, entry);
    else if (!is_name(name))
        conf_complain(r, entry, "the name of a pair may have letters, digits, - and _, not", name);
    else if (str_has_nul(entry->value))
        conf_complain(r, entry, "there is a null byte in the value of", entry->name);
    if (i == RENEW_SETTINGS || !is_name(name) || str_has_nul(entry->value))
        return OK;
    struct renew_rule *rule = rule_of(r, name);
    if (!rule)
        return E_LIMIT;
    rule->v[i] = entry->value;
    return arena_str(r->arena, entry->value, &rule->v[i]) ? OK : E_NOMEM;
}

/* ---- meaning ---- */

static void wrong(struct reading *r, const struct renew_rule *rule, enum renew_setting setting,
                  const char *must)
{
    (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, r->path, 0, "%.*s.%s: \"%.*s\" is not %s",
                    STR_ARG(rule->name), rows[setting].name, STR_ARG(rule->v[setting]), must);
}

static void read_numbers(struct reading *r, struct renew_rule *rule)
{
    const struct {
        enum renew_setting setting;
        unsigned min, max, *out;
    } numbers[] = {
        { RENEW_SET_DAYS, 1, CA_DAYS_MAX, &rule->days },
        { RENEW_SET_RENEW_AT, 1, PERCENT - 1, &rule->renew_at },
        { RENEW_SET_TIMEOUT, 1, TIMEOUT_MAX_S, &rule->timeout_s },
        { RENEW_SET_KEEP_DAYS, 0, CA_DAYS_MAX, &rule->keep_days },
    };
    uint32_t value;
    char must[64];

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        if (rule->v[numbers[i].setting].n == 0)
            continue;
        (void)snprintf(must, sizeof must, "a number from %u to %u", numbers[i].min, numbers[i].max);
        if (str_to_u32(rule->v[numbers[i].setting], numbers[i].min, numbers[i].max, &value))
            *numbers[i].out = value;
        else
            wrong(r, rule, numbers[i].setting, must);
    }
}

static enum code read_names(struct reading *r, struct renew_rule *rule)
{
    struct str rest = rule->v[RENEW_SET_NAMES], part;
    struct san *names = arena_array(r->arena, CA_LIST_MAX, sizeof *names);
    struct err e;

    if (!names)
        return E_NOMEM;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (rule->n_names == CA_LIST_MAX)
            wrong(r, rule, RENEW_SET_NAMES, "a list of at most 256 names");
        else if (part.n == 0 || san_parse(part, r->arena, &names[rule->n_names], &e) != OK)
            wrong(r, rule, RENEW_SET_NAMES, "a list of names");
        else {
            rule->n_names++;
            continue;
        }
        return OK;
    }
    rule->names = names;
    return OK;
}

/* Settings of another source would be passed over in silence. */
static void refuse_foreign(struct reading *r, const struct renew_rule *rule)
{
    for (size_t i = 0; i < RENEW_SETTINGS; i++) {
        bool given = rule->v[i].n > 0 && !str_is(rule->v[i], rows[i].boot);
        if (given && !strchr(rows[i].sources, source_letters[rule->source]))
            (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, r->path, 0,
                            "%.*s.%s cannot be used with source = %s", STR_ARG(rule->name), rows[i].name,
                            source_names[rule->source]);
    }
}

static void need(struct reading *r, const struct renew_rule *rule, enum renew_setting setting)
{
    if (rule->v[setting].n == 0)
        (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, r->path, 0, "%.*s.%s is not set", STR_ARG(rule->name),
                        rows[setting].name);
}

const char *renew_own_name(size_t i)
{
    static const char *const names[RENEW_OWN_MAX] = {
        [RENEW_OWN_CANARY] = "canary", [RENEW_OWN_PEER] = "cancel_peer", [RENEW_OWN_CHECK] = "upstream_check"
    };

    return i < COUNT_OF(names) ? names[i] : NULL;
}

/* The settings of a target name its files. */
static bool is_known(struct str pair)
{
    for (size_t i = 0; renew_own_name(i); i++)
        if (str_is(pair, renew_own_name(i)))
            return true;
    return str_is(pair, "server") || str_is(pair, "http");
}

static void check_needs(struct reading *r, const struct renew_rule *rule)
{
    bool known = is_known(rule->name);

    refuse_foreign(r, rule);
    if (rule->source == RENEW_BUNDLE) {
        need(r, rule, RENEW_SET_BUNDLE);
        need(r, rule, RENEW_SET_ROOTS_FILE);
        if (known)
            (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, r->path, 0,
                            "%.*s is the name of a pair: a bundle needs another name", STR_ARG(rule->name));
        return;
    }
    if (rule->source == RENEW_COMMAND)
        need(r, rule, RENEW_SET_COMMAND);
    if (!known || rule->v[RENEW_SET_CERT_FILE].n > 0 || rule->v[RENEW_SET_KEY_FILE].n > 0) {
        need(r, rule, RENEW_SET_CERT_FILE);
        need(r, rule, RENEW_SET_KEY_FILE);
    }
}

static bool read_source(struct reading *r, struct renew_rule *rule)
{
    struct str text = rule->v[RENEW_SET_SOURCE];

    for (size_t i = 0; i < COUNT_OF(source_names); i++) {
        if (!str_equal_nocase(text, str_c(source_names[i])))
            continue;
        rule->source = (enum renew_source)i;
        return true;
    }
    if (text.n == 0)
        need(r, rule, RENEW_SET_SOURCE);
    else
        wrong(r, rule, RENEW_SET_SOURCE, "one of ca, acme, command and bundle");
    return false;
}

static void check_words(struct reading *r, const struct renew_rule *rule, enum renew_setting setting)
{
    struct str words[RENEW_WORDS_MAX];
    size_t n = 0;
    struct err e;

    if (renew_words(rule->v[setting], r->arena, words, &n, &e) != OK)
        (void)diags_add(r->diags, SEV_ERROR, E_CONFIG, r->path, 0, "%.*s.%s: %s", STR_ARG(rule->name),
                        rows[setting].name, err_text(&e));
}

static enum code understand(struct reading *r, struct renew_rule *rule)
{
    static const char *const clients[] = { "uacme", "lego", "certbot", "dehydrated" };
    struct str client = rule->v[RENEW_SET_CLIENT];

    if (!read_source(r, rule))
        return OK;
    check_needs(r, rule);
    read_numbers(r, rule);
    check_words(r, rule, RENEW_SET_COMMAND);
    check_words(r, rule, RENEW_SET_ARGUMENTS);
    rule->has_kind = rule->v[RENEW_SET_KEY].n > 0;
    if (rule->has_kind && !key_kind_from_name(rule->v[RENEW_SET_KEY], &rule->kind))
        wrong(r, rule, RENEW_SET_KEY, "a supported key type (ecdsa-p256, ecdsa-p384, rsa-2048, …)");
    if (!str_is_one_of(client, clients, COUNT_OF(clients)))
        wrong(r, rule, RENEW_SET_CLIENT, "one of uacme, lego, certbot and dehydrated");
    return read_names(r, rule);
}

enum code renew_conf_load(const struct conf_fs *fs, const char *path, struct arena *arena,
                          struct renew_conf *out, struct diags *diags)
{
    struct conf_fs disk = conf_fs_disk();
    struct renew_conf conf = { .rules = arena_array(arena, RENEW_RULES_MAX, sizeof *conf.rules) };
    struct reading r = { arena, diags, &conf, str_c(path) };
    struct conf_entries entries;
    const struct conf_entry *entry;

    if (!conf.rules)
        return E_NOMEM;
    if (!fs && !os_exists(path))
        return E_NO_FILE;
    conf_entries_init(&entries, arena);
    enum code code = conf_lex_file(fs ? fs : &disk, str_c(path), &entries, diags);
    if (code != OK)
        return code;
    STAILQ_FOREACH (entry, &entries.list, next)
        TRY(read_entry(&r, entry));
    for (size_t i = 0; i < conf.n; i++)
        TRY(understand(&r, &conf.rules[i]));
    if (!diags_ok(diags))
        return E_CONFIG;
    *out = conf;
    return OK;
}
