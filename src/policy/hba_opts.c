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
#include "policy/line.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

#include <netdb.h>
#include <stdlib.h>

enum { FIRST_STRICT_CLIENTCERT_VERSION = 14, FIRST_SHORT_LDAP_TEXT_VERSION = 18, FIRST_OAUTH_VERSION = 18 };

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

#define METHOD(symbol) (1u << HBA_METHOD_##symbol)
#define ANY_METHOD (~0u)

static const struct option_row {
    const char *name;
    enum option_type type;
    unsigned methods;
    const char *methods_text;
    unsigned since;
} rows[] = {
#define X(symbol, name, type, methods, text, since, help)                                                    \
    [HBA_OPTION_##symbol] = { name, TYPE_##type, methods, text, since },
#include "hba_options.def"
#undef X
};

/* ldapurl stands for several others, so it has no place of its own. */
static const struct option_row ldapurl_row = { "ldapurl", TYPE_URL, METHOD(LDAP), "ldap", 0 };

int hba_atoi(struct str text)
{
    char digits[64];

    if (!str_to_c(str_first(text, sizeof digits - 1), digits, sizeof digits))
        return 0;
    return (int)strtol(digits, NULL, 10);
}

/* ---- lists of the radius options ---- */

static struct str skip_space(struct str s)
{
    while (s.n > 0 && char_is_blank(s.p[0]))
        s = str_from(s, 1);
    return s;
}

/** Cut an item off; false when it is malformed. Doubled quotes stay doubled: nobody needs their text. */
static bool next_item(struct str *rest, struct str *out)
{
    struct str s = *rest;
    size_t n = 0;

    if (s.n > 0 && s.p[0] == '"') {
        s = str_from(s, 1);
        while (n < s.n && !(s.p[n] == '"' && !(n + 1 < s.n && s.p[n + 1] == '"')))
            n += s.p[n] == '"' ? 2 : 1;
        if (n >= s.n)
            return false;
        *out = str_first(s, n);
        *rest = str_from(s, n + 1);
        return true;
    }
    while (n < s.n && s.p[n] != ',' && !char_is_blank(s.p[n]))
        n++;
    *out = str_first(s, n);
    *rest = str_from(s, n);
    return n > 0;
}

bool hba_split_list(struct str text, bool (*item)(void *arg, struct str item), void *arg, size_t *out_n)
{
    struct str rest = skip_space(text), part;
    size_t n = 0;

    *out_n = 0;
    if (rest.n == 0)
        return true;
    /* First the whole syntax, then the items: a malformed list is reported as such. */
    for (bool more = true; more; n++) {
        if (!next_item(&rest, &part))
            return false;
        rest = skip_space(rest);
        more = rest.n > 0;
        if (more && rest.p[0] != ',')
            return false;
        rest = skip_space(str_from(rest, 1));
    }
    *out_n = n;
    rest = skip_space(text);
    for (size_t i = 0; i < n && next_item(&rest, &part); i++) {
        if (item && !item(arg, part))
            return true;
        rest = skip_space(str_from(skip_space(rest), 1));
    }
    return true;
}

struct radius_item {
    struct line_parser *p;
    enum code code;
};

static int ask_system(const char *name)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(name, NULL, &hints, &found);

    if (found)
        freeaddrinfo(found);
    return problem;
}

static bool resolve_server(void *arg, struct str item)
{
    struct radius_item *r = arg;
    char *name = arena_c(r->p->arena, item);
    int problem = EAI_MEMORY;

    if (name)
        problem = (r->p->params->resolve_server ? r->p->params->resolve_server : ask_system)(name);
    if (problem != 0)
        r->code = line_bad_hidden(r->p, E_CONFIG,
                                  "could not translate RADIUS server name \"%.*s\" to address: %s",
                                  STR_ARG(item), gai_strerror(problem));
    return problem == 0;
}

static bool check_port(void *arg, struct str item)
{
    struct radius_item *r = arg;

    if (hba_atoi(item) != 0)
        return true;
    r->code = line_bad_hidden(r->p, E_CONFIG, "invalid RADIUS port number: \"%.*s\"", STR_ARG(item));
    return false;
}

static enum code read_radius(struct line_parser *p, enum hba_option option, struct str value)
{
    struct radius_item item = { p, OK };
    size_t n;

    if (option == HBA_OPTION_RADIUSPORTS) {
        if (!hba_split_list(value, check_port, &item, &n))
            return line_bad(p, E_CONFIG, NULL, "invalid RADIUS port number: \"%.*s\"", STR_ARG(value));
        return item.code;
    }
    bool servers = option == HBA_OPTION_RADIUSSERVERS;
    if (option == HBA_OPTION_RADIUSSECRETS && !hba_split_list(value, NULL, NULL, &n))
        return line_bad_hidden(p, E_CONFIG, "could not parse RADIUS secret list \"" HIDDEN "\"");
    if (!hba_split_list(value, servers ? resolve_server : NULL, &item, &n))
        return line_bad_hidden(p, E_CONFIG, "could not parse RADIUS %s list \"%.*s\"",
                               servers ? "server" : "identifiers", STR_ARG(value));
    return item.code;
}

/* ---- clientcert and clientname ---- */

static enum code read_clientcert(struct line_parser *p, struct hba_rule *rule, struct str value)
{
    bool old = p->version < FIRST_STRICT_CLIENTCERT_VERSION;

    if (str_is(value, "verify-full")) {
        rule->clientcert = CLIENTCERT_VERIFY_FULL;
        return OK;
    }
    if (str_is(value, "verify-ca") || (old && str_is(value, "1"))) {
        if (rule->method == HBA_METHOD_CERT && !old) {
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
    else
        return line_bad_hidden(p, E_CONFIG, "invalid value for clientname: \"%.*s\"", STR_ARG(value));
    return OK;
}

/* ---- one option ---- */

static enum code read_value(struct line_parser *p, struct hba_rule *rule, const struct option_row *row,
                            struct str *options, struct str value)
{
    enum hba_option option = (enum hba_option)(row - rows); /* not used for ldapurl */

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
        TRY(read_radius(p, option, value));
        break;
    case TYPE_TEXT:
    case TYPE_FLAG:
    case TYPE_SCOPE:
        break;
    }
    if (option == HBA_OPTION_MAP)
        rule->map = value;
    options[option] = value;
    return OK;
}

/** The methods as the server's message lists them; one list has grown. */
static const char *methods_text(const struct line_parser *p, const struct option_row *row)
{
    if (row == &rows[HBA_OPTION_MAP] && p->version < FIRST_OAUTH_VERSION)
        return "ident, peer, gssapi, sspi, and cert";
    return row->methods_text;
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
    if (!(row->methods & (1u << rule->method)))
        return line_bad(p, E_CONFIG, NULL,
                        "authentication option \"%.*s\" is only valid for authentication methods %s",
                        STR_ARG(name), methods_text(p, row));
    return read_value(p, rule, row, options, str_from(text, equals + 1));
}

/* ---- the record as a whole ---- */

static bool given(const struct hba_rule *rule, enum hba_option option)
{
    struct str value;

    return hba_rule_option(rule, option, &value);
}

static enum code missing(struct line_parser *p, const struct hba_rule *rule, const char *argument)
{
    return line_bad(p, E_CONFIG, NULL, "authentication method \"%s\" requires argument \"%s\" to be set",
                    hba_method_name(rule->method), argument);
}

static enum code check_ldap(struct line_parser *p, const struct hba_rule *rule)
{
    bool simple = given(rule, HBA_OPTION_LDAPPREFIX) || given(rule, HBA_OPTION_LDAPSUFFIX);
    bool attribute = given(rule, HBA_OPTION_LDAPSEARCHATTR), filter = given(rule, HBA_OPTION_LDAPSEARCHFILT);
    bool search = given(rule, HBA_OPTION_LDAPBASEDN) || given(rule, HBA_OPTION_LDAPBINDDN) ||
                  given(rule, HBA_OPTION_LDAPBINDPASSWD) || attribute || filter;

    if (simple && search)
        return line_bad(p, E_CONFIG, NULL, "%s",
                        p->version >= FIRST_SHORT_LDAP_TEXT_VERSION
                            ? "cannot mix options for simple bind and search+bind modes"
                            : "cannot use ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, "
                              "ldapsearchfilter, or ldapurl together with ldapprefix");
    if (!simple && !given(rule, HBA_OPTION_LDAPBASEDN))
        return line_bad(p, E_CONFIG, NULL,
                        "authentication method \"ldap\" requires argument \"ldapbasedn\", \"ldapprefix\", or "
                        "\"ldapsuffix\" to be set");
    if (attribute && filter)
        return line_bad(p, E_CONFIG, NULL, "cannot use ldapsearchattribute together with ldapsearchfilter");
    return OK;
}

static size_t list_length(const struct hba_rule *rule, enum hba_option option)
{
    struct str value;
    size_t n = 0;

    if (hba_rule_option(rule, option, &value))
        (void)hba_split_list(value, NULL, NULL, &n);
    return n;
}

static enum code check_radius(struct line_parser *p, const struct hba_rule *rule)
{
    static const struct {
        enum hba_option option;
        const char *plural;
    } lists[] = {
        { HBA_OPTION_RADIUSSECRETS, "secrets" },
        { HBA_OPTION_RADIUSPORTS, "ports" },
        { HBA_OPTION_RADIUSIDENTS, "identifiers" },
    };
    size_t servers = list_length(rule, HBA_OPTION_RADIUSSERVERS);

    if (servers == 0)
        return missing(p, rule, "radiusservers");
    if (list_length(rule, HBA_OPTION_RADIUSSECRETS) == 0)
        return missing(p, rule, "radiussecrets");
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        size_t n = list_length(rule, lists[i].option);
        if (n > 1 && n != servers)
            return line_bad(p, E_CONFIG, NULL,
                            "the number of RADIUS %s (%zu) must be 1 or the same as the number of RADIUS "
                            "servers (%zu)",
                            lists[i].plural, n, servers);
    }
    return OK;
}

struct find_item {
    struct str wanted;
    bool found;
};

static bool is_wanted(void *arg, struct str item)
{
    struct find_item *f = arg;

    f->found |= str_equal(item, f->wanted);
    return !f->found;
}

/** The validator must be one of the libraries that the server is set to trust. */
static enum code check_validator(struct line_parser *p, const struct hba_rule *rule)
{
    struct str libraries = str_c(p->params->oauth_validator_libraries);
    struct find_item find = { .found = false };
    size_t n = 0;

    if (libraries.n == 0)
        return line_bad(p, E_CONFIG, NULL,
                        "oauth_validator_libraries must be set for authentication method %s",
                        hba_method_name(rule->method));
    bool named = hba_rule_option(rule, HBA_OPTION_VALIDATOR, &find.wanted);
    bool ok = hba_split_list(libraries, named ? is_wanted : NULL, &find, &n);
    if (!ok || (!named && n == 1))
        return OK;
    if (!named)
        return line_bad(p, E_CONFIG, NULL,
                        "authentication method \"oauth\" requires argument \"validator\" to be set when "
                        "oauth_validator_libraries contains multiple options");
    if (find.found)
        return OK;
    return line_bad(p, E_CONFIG, NULL, "validator \"%.*s\" is not permitted by %s", STR_ARG(find.wanted),
                    "oauth_validator_libraries");
}

static enum code check_oauth(struct line_parser *p, const struct hba_rule *rule)
{
    struct str delegate;

    if (!given(rule, HBA_OPTION_SCOPE))
        return missing(p, rule, "scope");
    if (!given(rule, HBA_OPTION_ISSUER))
        return missing(p, rule, "issuer");
    if (!p->params->features.oauth_unchecked)
        TRY(check_validator(p, rule));
    if (hba_rule_option(rule, HBA_OPTION_DELEGATE_IDENT, &delegate) && str_is(delegate, "1") &&
        given(rule, HBA_OPTION_MAP))
        return line_bad(p, E_CONFIG, NULL, "map cannot be used in combination with delegate_ident_mapping");
    return OK;
}

enum code hba_check_options(struct line_parser *p, struct hba_rule *rule)
{
    if (rule->method == HBA_METHOD_LDAP)
        return check_ldap(p, rule);
    if (rule->method == HBA_METHOD_RADIUS)
        return check_radius(p, rule);
    if (rule->method == HBA_METHOD_OAUTH)
        return check_oauth(p, rule);
    if (rule->method == HBA_METHOD_CERT)
        rule->clientcert = CLIENTCERT_VERIFY_FULL;
    return OK;
}
