/*
 * One line of tokens → one rule.
 *
 *   local    DATABASE USER METHOD [OPTIONS]
 *   host…    DATABASE USER ADDRESS [MASK] METHOD [OPTIONS]
 *
 * A line is read from left to right and ends at its first error, with the server's words for it; the caller
 * goes on with the next line, so that all bad lines are told at once. [src: PostgreSQL 18, "The pg_hba.conf
 * File"; hba.c parse_hba_line]
 */
#include "policy/hba_parse.h"

#include "base/check.h"
#include "policy/hba_addr.h"
#include "policy/hba_opts.h"
#include "policy/line.h"
#include "policy/method.h"
#include "policy/policy_impl.h"
#include "policy/words.h"

enum { FIRST_REGEX_VERSION = 16 };

/* ---- fields ---- */

static bool keyword(struct hba_token token, const char *word)
{
    return !token.quoted && str_is(token.s, word);
}

static enum code parse_type(struct line_parser *p, struct hba_rule *rule)
{
    const struct hba_field *field = &p->line->fields[0];
    static const enum hba_type types[] = { HBA_LOCAL,     HBA_HOST,       HBA_HOSTSSL,
                                           HBA_HOSTNOSSL, HBA_HOSTGSSENC, HBA_HOSTNOGSSENC };

    if (field->n > 1)
        return line_bad(p, E_CONFIG, "Specify exactly one connection type per line.",
                        "multiple values specified for connection type");
    struct str word = field->tokens[0].s;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!str_is(word, hba_type_name(types[i])))
            continue;
        rule->type = types[i];
        if (rule->type == HBA_HOSTSSL && !p->params->ssl_on) {
            p->fault.error = STR("hostssl record cannot match because SSL is disabled");
            line_log(p, "Set \"ssl = on\" in postgresql.conf.", "%.*s", STR_ARG(p->fault.error));
        }
        return OK;
    }
    return line_bad(p, E_CONFIG, NULL, "invalid connection type \"%.*s\"", STR_ARG(word));
}

enum code hba_parse_regex(struct line_parser *p, struct hba_token token, bool captures, struct hba_name *out)
{
    struct str pattern = str_from(token.s, 1);
    struct hba_name name = { HBA_NAME_REGEX, token.s, 0 };
    struct err e;

    enum code code = regex_set_add(p->regexes, pattern, captures, &name.regex, &e);
    if (code == E_REGEX)
        return line_bad(p, E_REGEX, NULL, "invalid regular expression \"%.*s\": %s", STR_ARG(pattern),
                        err_text(&e));
    TRY(code);
    *out = name;
    return OK;
}

static enum code parse_database(struct line_parser *p, struct hba_token token, struct hba_name *out)
{
    if (str_starts(token.s, STR("/")) && p->version >= FIRST_REGEX_VERSION)
        return hba_parse_regex(p, token, false, out);
    *out = (struct hba_name){ HBA_NAME_EXACT, token.s, 0 };
    if (keyword(token, "all"))
        out->kind = HBA_NAME_ALL;
    else if (keyword(token, "sameuser"))
        out->kind = HBA_NAME_SAMEUSER;
    else if (keyword(token, "samerole") || keyword(token, "samegroup"))
        out->kind = HBA_NAME_SAMEROLE;
    else if (keyword(token, "replication"))
        out->kind = HBA_NAME_REPLICATION;
    return OK;
}

enum code hba_parse_user(struct line_parser *p, struct hba_token token, struct hba_name *out)
{
    if (str_starts(token.s, STR("/")) && p->version >= FIRST_REGEX_VERSION)
        return hba_parse_regex(p, token, false, out);
    *out = (struct hba_name){ HBA_NAME_EXACT, token.s, 0 };
    if (!token.quoted && str_starts(token.s, STR("+")))
        out->kind = HBA_NAME_MEMBER;
    else if (keyword(token, "all"))
        out->kind = HBA_NAME_ALL;
    return OK;
}

typedef enum code parse_name_fn(struct line_parser *p, struct hba_token token, struct hba_name *out);

static enum code parse_names(struct line_parser *p, const struct hba_field *field, parse_name_fn *parse,
                             const struct hba_name **out)
{
    struct hba_name *names = arena_array(p->arena, field->n, sizeof *names);

    if (!names)
        return E_NOMEM;
    for (size_t i = 0; i < field->n; i++)
        TRY(parse(p, field->tokens[i], &names[i]));
    *out = names;
    return OK;
}

static enum code parse_method(struct line_parser *p, size_t at, struct hba_rule *rule)
{
    if (at >= p->line->n)
        return line_bad(p, E_CONFIG, NULL, "end-of-line before authentication method");
    const struct hba_field *field = &p->line->fields[at];
    if (field->n > 1)
        return line_bad(p, E_CONFIG, "Specify exactly one authentication type per line.",
                        "multiple values specified for authentication type");
    struct str word = field->tokens[0].s;
    if (!hba_method_find(word, p->version, &rule->method))
        return line_bad(p, E_CONFIG, NULL, "invalid authentication method \"%.*s\"", STR_ARG(word));
    if (hba_method_how(rule->method) == HBA_HOW_ABSENT)
        return line_bad(p, E_CONFIG, NULL,
                        "invalid authentication method \"%.*s\": not supported by this build", STR_ARG(word));
    if (rule->type == HBA_LOCAL && rule->method == HBA_METHOD_IDENT)
        rule->method = HBA_METHOD_PEER;
    const char *misplaced = hba_method_misplaced(rule->method, rule->type);
    if (misplaced)
        return line_bad(p, E_CONFIG, NULL, "%s authentication is %s", hba_method_word(rule->method),
                        misplaced);
    return OK;
}

static enum code parse_options(struct line_parser *p, size_t at, struct hba_rule *rule)
{
    const struct hba_line *line = p->line;

    if (at < line->n) {
        struct str *options = arena_array(p->arena, HBA_OPTION_COUNT, sizeof *options);
        if (!options)
            return E_NOMEM;
        rule->options = options;
        for (; at < line->n; at++)
            for (size_t i = 0; i < line->fields[at].n; i++)
                TRY(hba_parse_option(p, rule, options, line->fields[at].tokens[i].s));
    }
    return hba_check_options(p, rule);
}

enum code hba_parse_line(struct line_parser *p, const struct hba_line *line, struct hba_rule *out)
{
    struct hba_rule rule = { .file = line->file, .line = line->line, .raw = line->raw };
    size_t at = 1;

    p->line = line;
    p->fault = (struct line_fault){ .error.p = NULL };
    TRY(parse_type(p, &rule));
    if (at >= line->n)
        return line_bad(p, E_CONFIG, NULL, "end-of-line before database specification");
    rule.n_databases = line->fields[at].n;
    TRY(parse_names(p, &line->fields[at++], parse_database, &rule.databases));
    if (at >= line->n)
        return line_bad(p, E_CONFIG, NULL, "end-of-line before role specification");
    rule.n_users = line->fields[at].n;
    TRY(parse_names(p, &line->fields[at++], hba_parse_user, &rule.users));
    if (rule.type != HBA_LOCAL)
        TRY(hba_parse_address(p, &at, &rule.address));
    TRY(parse_method(p, at++, &rule));
    TRY(parse_options(p, at, &rule));
    *out = rule;
    return OK;
}
