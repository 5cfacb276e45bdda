/*
 * Both files → one policy, or all that is wrong with them.
 * [src: PostgreSQL 18, hba.c load_hba, load_ident]
 */
#include "policy/policy.h"

#include "base/check.h"
#include "policy/archive.h"
#include "policy/hba_parse.h"
#include "policy/ident.h"
#include "policy/line.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

#include <stdlib.h>

struct policy *policy_ref(struct policy *policy)
{
    atomic_fetch_add_explicit(&policy->refs, 1, memory_order_relaxed);
    return policy;
}

void policy_unref(struct policy *policy)
{
    if (!policy || atomic_fetch_sub_explicit(&policy->refs, 1, memory_order_acq_rel) != 1)
        return;
    buf_fini(&policy->archive);
    arena_fini(&policy->arena);
    free(policy);
}

void policy_auto(struct policy **policy)
{
    policy_unref(*policy);
}

static struct policy *policy_new(void)
{
    struct policy *policy = calloc(1, sizeof *policy);

    if (!policy)
        return NULL;
    atomic_init(&policy->refs, 1);
    policy->archive = BUF_INIT(ARCHIVE_MAX);
    arena_init(&policy->arena, POLICY_ARENA_MAX, POLICY_ARENA_FIRST);
    policy->regexes = regex_set_new(&policy->arena);
    if (!policy->regexes) {
        policy_unref(policy);
        return NULL;
    }
    return policy;
}

/* ---- loading ---- */

struct load {
    const struct policy_params *params;
    struct policy *policy;
    struct diags *diags;
    struct archive *archive; /* NULL: what is read is not kept */
    struct hba_lines hba;
    struct hba_lines ident;
};

static struct line_parser parser_of(const struct load *l, struct diags *diags)
{
    return (struct line_parser){
        .params = l->params,
        .version = l->params->pg_version ? l->params->pg_version : PG_VERSION_DEFAULT,
        .arena = &l->policy->arena,
        .regexes = l->policy->regexes,
        .diags = diags,
    };
}

static enum code read_lines(const struct load *l, struct str path, struct diags *diags, struct hba_lines *out)
{
    const struct hba_lex_params params = { l->params->fs, l->params->pg_version, diags };
    struct err e;

    enum code code = hba_lex_file(&params, path, &l->policy->arena, out, &e);
    if (code != OK && code != E_NOMEM)
        (void)diags_add(diags, SEV_ERROR, code, path, 0, "%s", err_text(&e));
    return code;
}

/** What cannot be applied is an error of the line that needs it. */
static void check_name(struct line_parser *p, const struct hba_name *name)
{
    bool roles = name->kind == HBA_NAME_SAMEROLE || name->kind == HBA_NAME_MEMBER;

    if (roles && !p->params->features.roles_known)
        (void)line_bad(p, E_UNSUPPORTED, "Set \"auth_source = query\", or name the users.",
                       "\"%.*s\" needs role memberships, which are not known here", STR_ARG(name->text));
    if (name->kind == HBA_NAME_REGEX && regex_set_has_lookbehind(p->regexes, name->regex))
        (void)line_bad(p, E_UNSUPPORTED, NULL,
                       "regular expression \"%.*s\" uses lookbehind, which is not supported",
                       STR_ARG(str_from(name->text, 1)));
}

static void check_rule(struct line_parser *p, const struct hba_rule *rule)
{
    for (size_t i = 0; i < rule->n_databases; i++)
        check_name(p, &rule->databases[i]);
    for (size_t i = 0; i < rule->n_users; i++)
        check_name(p, &rule->users[i]);
}

static enum code load_rules(struct load *l)
{
    struct line_parser p = parser_of(l, l->diags);
    struct policy *policy = l->policy;
    struct hba_line *line;
    size_t bad = 0;

    TRY(read_lines(l, l->params->hba_file, l->diags, &l->hba));
    policy->rules = arena_array(&policy->arena, l->hba.n, sizeof *policy->rules);
    if (!policy->rules)
        return E_NOMEM;
    STAILQ_FOREACH (line, &l->hba.list, next) {
        struct hba_rule *rule = &policy->rules[policy->n_rules];
        enum code code = line->error.n > 0 ? E_CONFIG : hba_parse_line(&p, line, rule);
        if (code == E_NOMEM)
            return code;
        bad += code != OK;
        if (code != OK)
            continue;
        check_rule(&p, rule);
        rule->number = (unsigned)++policy->n_rules;
    }
    if (bad == 0 && policy->n_rules == 0)
        (void)diags_add(l->diags, SEV_ERROR, E_CONFIG, l->params->hba_file, 0,
                        "configuration file \"%.*s\" contains no entries", STR_ARG(l->params->hba_file));
    return OK;
}

static enum code load_maps(struct load *l, struct diags *diags)
{
    struct line_parser p = parser_of(l, diags);
    struct policy *policy = l->policy;
    struct hba_line *line;

    TRY(read_lines(l, l->params->ident_file, diags, &l->ident));
    policy->maps = arena_array(&policy->arena, l->ident.n, sizeof *policy->maps);
    if (!policy->maps)
        return E_NOMEM;
    STAILQ_FOREACH (line, &l->ident.list, next) {
        struct ident_line *map = &policy->maps[policy->n_maps];
        enum code code = line->error.n > 0 ? E_CONFIG : ident_parse_line(&p, line, map);
        if (code == E_NOMEM)
            return code;
        if (code != OK)
            continue;
        check_name(&p, &map->system);
        check_name(&p, &map->role);
        policy->n_maps++;
    }
    return OK;
}

/** Log at most as warnings what was found wrong. */
static void move_as_warnings(struct diags *from, struct diags *to)
{
    struct diag *row;

    while ((row = STAILQ_FIRST(&from->list))) {
        STAILQ_REMOVE_HEAD(&from->list, next);
        if (row->severity == SEV_ERROR)
            row->severity = SEV_WARNING;
        STAILQ_INSERT_TAIL(&to->list, row, next);
    }
}

static void no_maps(struct load *l)
{
    l->policy->n_maps = 0;
    (void)diags_add(l->diags, SEV_WARNING, E_CONFIG, l->params->ident_file, 0,
                    "could not load \"%.*s\", so there are no user-name maps",
                    STR_ARG(l->params->ident_file));
}

/** At start a bad ident file is not fatal: its errors become warnings, and there are no maps. */
static enum code load_maps_at_start(struct load *l)
{
    struct diags own;

    diags_init(&own, l->diags->arena);
    enum code code = load_maps(l, &own);
    if (code == E_NOMEM || own.nomem)
        return E_NOMEM;
    bool ok = code == OK && diags_ok(&own);
    move_as_warnings(&own, l->diags);
    if (!ok)
        no_maps(l);
    return OK;
}

/** The maps in force once more, from what was read for them. */
static enum code load_maps_in_force(struct load *l)
{
    struct archive_head head;
    struct archive *before;
    struct err e;

    CHECK(l->archive);
    TRY(archive_open(policy_archive(l->params->running), &before, &head, &e));
    archive_read_from(l->archive, archive_fs(before));
    enum code code = load_maps(l, l->diags);
    archive_free(before);
    return code;
}

/** Where the file cannot be opened PostgreSQL keeps the maps that it has, if any, and goes on. */
static enum code load_maps_again(struct load *l)
{
    struct diags own;

    diags_init(&own, l->diags->arena);
    enum code code = load_maps(l, &own);
    if (code == E_NOMEM || own.nomem)
        return E_NOMEM;
    if (code == OK || code == E_LIMIT) {
        STAILQ_CONCAT(&l->diags->list, &own.list);
        l->diags->errors += own.errors;
        return OK;
    }
    move_as_warnings(&own, l->diags);
    if (!l->params->running) {
        no_maps(l);
        return OK;
    }
    (void)diags_add(l->diags, SEV_WARNING, code, l->params->ident_file, 0, "%.*s was not reloaded",
                    STR_ARG(l->params->ident_file));
    return l->params->running->n_maps > 0 ? load_maps_in_force(l) : OK;
}

static enum code keep_paths(struct load *l)
{
    struct policy *policy = l->policy;
    struct hba_lex_path *path;
    size_t n = 0;

    STAILQ_CONCAT(&l->hba.paths, &l->ident.paths);
    STAILQ_FOREACH (path, &l->hba.paths, next)
        n++;
    policy->paths = arena_array(&policy->arena, n, sizeof *policy->paths);
    if (!policy->paths)
        return E_NOMEM;
    STAILQ_FOREACH (path, &l->hba.paths, next)
        policy->paths[policy->n_paths++] = (struct policy_path){ path->path, path->is_dir };
    return OK;
}

static enum code load_all(struct load *l)
{
    STAILQ_INIT(&l->ident.paths);
    enum code hba = load_rules(l);
    if (hba == E_NOMEM)
        return hba;
    if (l->params->ident_file.n > 0) {
        enum code ident = l->params->reload ? load_maps_again(l) : load_maps_at_start(l);
        if (ident == E_NOMEM)
            return ident;
    }
    TRY(hba);
    if (l->diags->nomem)
        return E_NOMEM;
    if (!diags_ok(l->diags))
        return E_CONFIG;
    TRY(keep_paths(l));
    return policy_index(l->policy);
}

/* Load through a recorder and keep what it saw. */
static enum code load_recorded(struct load *l)
{
    struct policy_params params = *l->params;
    struct archive *archive = archive_new();

    if (!archive)
        return E_NOMEM;
    params.fs = archive_fs(archive);
    l->params = &params;
    l->archive = archive;
    enum code code = load_all(l);
    if (code == OK)
        code = archive_write(archive, params.archive, &l->policy->archive);
    archive_free(archive);
    return code;
}

enum code policy_load(const struct policy_params *params, struct policy **out, struct diags *diags)
{
    AUTO(policy) struct policy *policy = policy_new();
    struct load l = { .params = params, .policy = policy, .diags = diags };

    if (!policy)
        return E_NOMEM;
    TRY(params->archive ? load_recorded(&l) : load_all(&l));
    *out = TAKE(policy);
    return OK;
}

struct bytes policy_archive(const struct policy *policy)
{
    return buf_bytes(&policy->archive);
}

/* ---- looking at it ---- */

size_t policy_rule_count(const struct policy *policy)
{
    return policy->n_rules;
}

const struct hba_rule *policy_rule(const struct policy *policy, size_t index)
{
    CHECK(index < policy->n_rules);
    return &policy->rules[index];
}

bool policy_has_map(const struct policy *policy, struct str map)
{
    for (size_t i = 0; i < policy->n_maps; i++)
        if (str_equal(policy->maps[i].map, map))
            return true;
    return false;
}

size_t policy_map_count(const struct policy *policy)
{
    return policy->n_maps;
}

const struct policy_path *policy_paths(const struct policy *policy, size_t *out_n)
{
    *out_n = policy->n_paths;
    return policy->paths;
}
