/*
 * Options of a record: one reader per type of option, driven by tables/hba_options.def.
 *
 * The server loses the text of some faults on its way to pg_hba_file_rules; line_bad_hidden() marks those.
 * [src: PostgreSQL 18, "The pg_hba.conf File"; hba.c parse_hba_auth_opt]
 */
#include "policy/hba_opts.h"

#include "base/check.h"
#include "lex/conninfo_hide.h"
#include "policy/hba_ldap.h"
#include "policy/hba_list.h"
#include "policy/hba_oauth.h"
#include "policy/hba_radius.h"
#include "policy/line.h"
#include "policy/method.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

enum { FIRST_STRICT_CLIENTCERT_VERSION = 14, METHODS_TEXT_MAX = 256 };

enum option_type {
    TYPE_TEXT,
    TYPE_FLAG,
    TYPE_CLIENTCERT,
    TYPE_CLIENTNAME,
    TYPE_PORT,
    TYPE_SCHEME,
    TYPE_URL,
    TYPE_SCOPE,
    TYPE_RADIUS_HOSTS,
    TYPE_RADIUS_PORTS,
    TYPE_RADIUS_LIST,
};

static const struct option_row {
    const char *name;
    enum option_type type;
    enum hba_option option;
    unsigned since;
} rows[] = {
#define X(symbol, name, type, taken_by, since, help)                                                         \
    [HBA_OPTION_##symbol] = { name, TYPE_##type, HBA_OPTION_##symbol, since },
#include "hba_options.def"
#undef X
};

/* ldapurl stands for several others, so it has no place of its own; who takes them takes it. */
static const struct option_row ldapurl_row = { "ldapurl", TYPE_URL, HBA_OPTION_LDAPSERVER, 0 };

/* ---- clientcert and clientname ---- */

static enum code read_clientcert(struct line_parser *p, struct hba_rule *rule, struct str value)
{
    bool old = p->version < FIRST_STRICT_CLIENTCERT_VERSION;

    if (str_is(value, "verify-full")) {
        rule->clientcert = CLIENTCERT_VERIFY_FULL;
        return OK;
    }
    if (str_is(value, "verify-ca") || (old && str_is(value, "1"))) {
        if (hba_method_needs(rule->method) == HBA_NEEDS_CERT && !old) {
            enum code code = line_bad(
                p, E_CONFIG, NULL,
                "clientcert only accepts \"verify-full\" when using \"cert\" authentication");
            p->fault.error = STR(
                "clientcert can only be set to \"verify-full\" when using \"cert\" authentication");
            return code;
        }
        rule->clientcert = CLIENTCERT_VERIFY_CA;
        return OK;
    }
    if (old && (str_is(value, "0") || str_is(value, "no-verify"))) {
        rule->clientcert = CLIENTCERT_NONE;
        return OK;
    }
    return line_bad_hidden(p, E_CONFIG, "invalid value for clientcert: \"%.*s\"", STR_ARG(value));
}

static enum code read_clientname(struct line_parser *p, struct hba_rule *rule, struct str value)
{
    if (str_is(value, "CN"))
        rule->clientname = CLIENTNAME_CN;
    else if (str_is(value, "DN"))
        rule->clientname = CLIENTNAME_DN;
    else if (str_is(value, "SAN") && p->params->features.sans)
        rule->clientname = CLIENTNAME_SAN;
    else
        return line_bad_hidden(p, E_CONFIG, "invalid value for clientname: \"%.*s\"", STR_ARG(value));
    return OK;
}

/* ---- one option ---- */

static enum code read_value(struct line_parser *p, struct hba_rule *rule, const struct option_row *row,
                            struct str *options, struct str value)
{
    switch (row->type) {
    case TYPE_CLIENTCERT:
    case TYPE_CLIENTNAME:
        if (rule->type != HBA_HOSTSSL)
            return line_bad(p, E_CONFIG, NULL, "%s can only be configured for \"hostssl\" rows", row->name);
        TRY(row->type == TYPE_CLIENTCERT ? read_clientcert(p, rule, value) : read_clientname(p, rule, value));
        break;
    case TYPE_PORT:
        if (hba_atoi(value) == 0)
            return line_bad(p, E_CONFIG, NULL, "invalid LDAP port number: \"%.*s\"", STR_ARG(value));
        if (!arena_printf(p->arena, &value, "%d", hba_atoi(value)))
            return E_NOMEM;
        break;
    case TYPE_SCHEME:
        if (!str_is(value, "ldap") && !str_is(value, "ldaps"))
            line_log(p, NULL, "invalid ldapscheme value: \"%.*s\"", STR_ARG(value));
        break;
    case TYPE_URL:
        return hba_parse_ldapurl(p, options, value);
    case TYPE_RADIUS_HOSTS:
    case TYPE_RADIUS_PORTS:
    case TYPE_RADIUS_LIST:
        TRY(hba_radius_read(p, row->option, value));
        break;
    case TYPE_TEXT:
    case TYPE_FLAG:
    case TYPE_SCOPE:
        break;
    }
    if (row->option == HBA_OPTION_MAP)
        rule->map = value;
    options[row->option] = value;
    return OK;
}

static enum code not_for_method(struct line_parser *p, struct str name, const struct option_row *row)
{
    AUTO(buf) struct buf methods = BUF_INIT(METHODS_TEXT_MAX);

    hba_option_methods(row->option, p->version, &methods);
    return line_bad(p, E_CONFIG, NULL,
                    "authentication option \"%.*s\" is only valid for authentication methods %s",
                    STR_ARG(name), buf_c(&methods));
}

static const struct option_row *find_option(const struct line_parser *p, struct str name)
{
    if (str_is(name, ldapurl_row.name))
        return &ldapurl_row;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (str_is(name, rows[i].name) && p->version >= rows[i].since && rows[i].type != TYPE_SCOPE)
            return &rows[i];
    return NULL;
}

/* Behind a password the word may be the rest of it: PostgreSQL's view has it, the log does not. */
static enum code bad_word(struct line_parser *p, const struct str *options, const char *before,
                          const char *behind, struct str word)
{
    struct str shown = word;

    for (int i = 0; i < HBA_OPTION_COUNT; i++)
        if (hba_option_is_secret((enum hba_option)i) && options[i].p)
            shown = STR(HIDDEN);
    enum code code = line_bad(p, E_CONFIG, NULL, "%s%.*s%s", before, STR_ARG(shown), behind);
    if (code == E_CONFIG &&
        !arena_printf(p->arena, &p->fault.error, "%s%.*s%s", before, STR_ARG(word), behind))
        code = E_NOMEM;
    return code;
}

enum code hba_parse_option(struct line_parser *p, struct hba_rule *rule, struct str *options, struct str text)
{
    size_t equals = str_find(text, '=');
    struct str name = str_first(text, equals);

    if (equals == text.n)
        return bad_word(p, options, "authentication option not in name=value format: ", "", text);
    const struct option_row *row = find_option(p, name);
    options[HBA_OPTION_LDAPSCOPE] = STR("2"); /* any option does that, and ldapurl may change it */
    if (!row)
        return bad_word(p, options, "unrecognized authentication option name: \"", "\"", name);
    if (!hba_method_takes(rule->method, row->option))
        return not_for_method(p, name, row);
    return read_value(p, rule, row, options, str_from(text, equals + 1));
}

/* ---- the record as a whole ---- */

static enum code (*const checks[])(struct line_parser *p, const struct hba_rule *rule) = {
#define X(symbol, name, word, since, until, records, options, check, how, unit, needs, leaves, refusal,      \
          asks, asks_over_tls, audit, help)                                                                  \
    [HBA_METHOD_##symbol] = (check),
#include "hba_methods.def"
#undef X
};

enum code hba_check_options(struct line_parser *p, struct hba_rule *rule)
{
    if (hba_method_needs(rule->method) == HBA_NEEDS_CERT)
        rule->clientcert = CLIENTCERT_VERIFY_FULL;
    return checks[rule->method] ? checks[rule->method](p, rule) : OK;
}
