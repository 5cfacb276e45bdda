/*
 * The rows of pg_hba_file_rules and pg_ident_file_mappings: the files as they are now, bad lines included.
 * [src: PostgreSQL 18, "pg_hba_file_rules", "pg_ident_file_mappings"; hbafuncs.c]
 */
#include "policy/rows.h"

#include "base/check.h"
#include "lex/conninfo_hide.h"
#include "policy/hba_addr.h"
#include "policy/hba_parse.h"
#include "policy/ident.h"
#include "policy/method.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

/* ---- a rule's columns ---- */

static enum code names_column(struct arena *arena, const struct hba_name *names, size_t n,
                              struct str_list *out)
{
    struct str *items = arena_array(arena, n, sizeof *items);

    if (!items)
        return E_NOMEM;
    for (size_t i = 0; i < n; i++)
        items[i] = names[i].text;
    *out = (struct str_list){ items, n };
    return OK;
}

static enum code address_columns(struct arena *arena, const struct hba_addr *addr, struct hba_row *row)
{
    switch (addr->kind) {
    case HBA_ADDR_NONE:
        return OK;
    case HBA_ADDR_ALL:
        row->address = STR("all");
        return OK;
    case HBA_ADDR_SAMEHOST:
        row->address = STR("samehost");
        return OK;
    case HBA_ADDR_SAMENET:
        row->address = STR("samenet");
        return OK;
    case HBA_ADDR_NAME:
        row->address = addr->name;
        return OK;
    case HBA_ADDR_NET:
        TRY(hba_addr_text(arena, addr->family, addr->addr, &row->address));
        return hba_addr_text(arena, addr->family, addr->mask, &row->netmask);
    }
    UNREACHABLE();
}

/** The text after the equals sign, or p == NULL when PostgreSQL does not show the option. */
static struct str shown_value(const struct hba_rule *rule, enum hba_option option)
{
    struct str value = str_of(NULL, 0);
    bool given = hba_rule_option(rule, option, &value);
    bool taken = hba_method_takes(rule->method, option);

    switch (option) {
    case HBA_OPTION_INCLUDE_REALM:
        return taken && (!given || str_is(value, "1")) ? STR("true") : str_of(NULL, 0);
    case HBA_OPTION_CLIENTCERT:
        if (rule->clientcert == CLIENTCERT_NONE)
            return str_of(NULL, 0);
        return rule->clientcert == CLIENTCERT_VERIFY_CA ? STR("verify-ca") : STR("verify-full");
    case HBA_OPTION_LDAPTLS:
    case HBA_OPTION_DELEGATE_IDENT:
        return given && str_is(value, "1") ? STR("true") : str_of(NULL, 0);
    case HBA_OPTION_LDAPSCOPE:
    case HBA_OPTION_LDAPPORT:
        return taken && !str_is(value, "0") ? value : str_of(NULL, 0);
    case HBA_OPTION_CLIENTNAME: /* PostgreSQL shows none, and has no SAN */
        return rule->clientname == CLIENTNAME_SAN ? value : str_of(NULL, 0);
    case HBA_OPTION_PAM_HOSTNAME:
    case HBA_OPTION_COMPAT_REALM:
    case HBA_OPTION_UPN_USERNAME:
        return str_of(NULL, 0);
    case HBA_OPTION_KRB_REALM:
    case HBA_OPTION_MAP:
    case HBA_OPTION_PAMSERVICE:
    case HBA_OPTION_LDAPSERVER:
    case HBA_OPTION_LDAPSCHEME:
    case HBA_OPTION_LDAPPREFIX:
    case HBA_OPTION_LDAPSUFFIX:
    case HBA_OPTION_LDAPBASEDN:
    case HBA_OPTION_LDAPBINDDN:
    case HBA_OPTION_LDAPBINDPASSWD:
    case HBA_OPTION_LDAPSEARCHATTR:
    case HBA_OPTION_LDAPSEARCHFILT:
    case HBA_OPTION_RADIUSSERVERS:
    case HBA_OPTION_RADIUSSECRETS:
    case HBA_OPTION_RADIUSIDENTS:
    case HBA_OPTION_RADIUSPORTS:
    case HBA_OPTION_ISSUER:
    case HBA_OPTION_SCOPE:
    case HBA_OPTION_VALIDATOR:
        return value;
    case HBA_OPTION_COUNT:
        break;
    }
    UNREACHABLE();
}

enum code policy_rule_options(struct arena *arena, const struct hba_rule *rule, enum hba_secrets secrets,
                              struct str_list *out)
{
    struct str items[HBA_OPTION_COUNT];
    size_t n = 0;

    for (int i = 0; i < HBA_OPTION_COUNT; i++) {
        struct str value = shown_value(rule, (enum hba_option)i);
        if (!value.p)
            continue;
        if (secrets == HBA_SECRETS_HIDDEN && hba_option_is_secret((enum hba_option)i))
            value = STR(HIDDEN);
        if (!arena_printf(arena, &items[n++], "%s=%.*s", hba_option_name((enum hba_option)i), STR_ARG(value)))
            return E_NOMEM;
    }
    if (n == 0)
        return OK;
    struct str *copy = arena_array(arena, n, sizeof *copy);
    if (!copy)
        return E_NOMEM;
    memcpy(copy, items, n * sizeof *copy);
    *out = (struct str_list){ copy, n };
    return OK;
}

static enum code rule_columns(struct arena *arena, const struct hba_rule *rule, struct hba_row *row)
{
    row->type = str_c(hba_type_name(rule->type));
    TRY(names_column(arena, rule->databases, rule->n_databases, &row->database));
    TRY(names_column(arena, rule->users, rule->n_users, &row->user_name));
    TRY(address_columns(arena, &rule->address, row));
    row->auth_method = str_c(hba_method_name(rule->method));
    return policy_rule_options(arena, rule, HBA_SECRETS_SHOWN, &row->options);
}

/* ---- whole files ---- */

static enum code open_lines(const struct policy_params *params, struct line_parser *p, struct str path,
                            struct hba_lines *out, struct err *e)
{
    const struct hba_lex_params lex = { params->fs, params->pg_version, p->diags };

    p->params = params;
    p->version = params->pg_version ? params->pg_version : PG_VERSION_DEFAULT;
    p->regexes = regex_set_new(p->arena);
    if (!p->regexes)
        return E_NOMEM;
    return hba_lex_file(&lex, path, p->arena, out, e);
}

static enum code hba_row_of(struct line_parser *p, const struct hba_line *line, struct hba_row *row)
{
    struct hba_rule rule;

    *row = (struct hba_row){ .file_name = line->file, .line_number = line->line };
    if (line->error.n > 0) {
        row->error = line->error;
        return E_CONFIG;
    }
    enum code code = hba_parse_line(p, line, &rule);
    row->error = p->fault.error;
    row->hidden = p->fault.hidden;
    TRY(code);
    return rule_columns(p->arena, &rule, row);
}

enum code policy_hba_rows(const struct policy_params *params, struct arena *arena, struct hba_rows *out,
                          struct diags *diags, struct err *e)
{
    struct line_parser p = { .arena = arena, .diags = diags };
    struct hba_rows rows = { .n = 0 };
    struct hba_lines lines;
    struct hba_line *line;
    unsigned number = 0;

    TRY(open_lines(params, &p, params->hba_file, &lines, e));
    rows.rows = arena_array(arena, lines.n, sizeof *rows.rows);
    if (!rows.rows)
        return E_NOMEM;
    STAILQ_FOREACH (line, &lines.list, next) {
        struct hba_row *row = &rows.rows[rows.n++];
        enum code code = hba_row_of(&p, line, row);
        if (code == E_NOMEM)
            return code;
        rows.refused |= code != OK;
        if (!row->error.p)
            row->rule_number = ++number;
    }
    rows.refused |= rows.n == 0;
    *out = rows;
    return OK;
}

static enum code ident_row_of(struct line_parser *p, const struct hba_line *line, struct ident_row *row)
{
    struct ident_line parsed;

    *row = (struct ident_row){ .file_name = line->file, .line_number = line->line };
    if (line->error.n > 0) {
        row->error = line->error;
        return E_CONFIG;
    }
    enum code code = ident_parse_line(p, line, &parsed);
    row->error = p->fault.error;
    TRY(code);
    row->map_name = parsed.map;
    row->sys_name = parsed.system.text;
    row->pg_username = parsed.role.text;
    return OK;
}

enum code policy_ident_rows(const struct policy_params *params, struct arena *arena, struct ident_rows *out,
                            struct diags *diags, struct err *e)
{
    struct line_parser p = { .arena = arena, .diags = diags };
    struct ident_rows rows = { .n = 0 };
    struct hba_lines lines;
    struct hba_line *line;
    unsigned number = 0;

    TRY(open_lines(params, &p, params->ident_file, &lines, e));
    rows.rows = arena_array(arena, lines.n, sizeof *rows.rows);
    if (!rows.rows)
        return E_NOMEM;
    STAILQ_FOREACH (line, &lines.list, next) {
        struct ident_row *row = &rows.rows[rows.n++];
        enum code code = ident_row_of(&p, line, row);
        if (code == E_NOMEM)
            return code;
        rows.refused |= code != OK;
        if (code == OK)
            row->map_number = ++number;
    }
    *out = rows;
    return OK;
}
