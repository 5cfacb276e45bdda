/*
 * pg_ident.conf: one line of tokens → one map line, and the question put to the maps.
 * [src: PostgreSQL 18, "User Name Maps"; hba.c parse_ident_line, check_ident_usermap]
 */

#include "policy/ident.h"

#include "policy/hba_parse.h"
#include "policy/line.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

enum { FIRST_ROLE_KEYWORDS_VERSION = 16 };

/* ---- parsing ---- */

/** Where the first \1 stands, or SIZE_MAX. */
static size_t find_group(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if (text.p[i] == '\\' && text.p[i + 1] == '1')
            return i;
    return SIZE_MAX;
}

static enum code take_field(struct line_parser *p, size_t at, struct hba_token *out)
{
    if (at >= p->line->n)
        return line_bad(p, E_CONFIG, NULL, "missing entry at end of line");
    if (p->line->fields[at].n > 1)
        return line_bad(p, E_CONFIG, NULL, "multiple values in ident field");
    *out = p->line->fields[at].tokens[0];
    return OK;
}

/** The third field; keywords and expressions mean something there since PostgreSQL 16. */
static enum code parse_role(struct line_parser *p, struct hba_token token, struct hba_name *out)
{
    if (p->version >= FIRST_ROLE_KEYWORDS_VERSION)
        return hba_parse_user(p, token, out);
    *out = (struct hba_name){ HBA_NAME_EXACT, token.s, 0 };
    return OK;
}

enum code ident_parse_line(struct line_parser *p, const struct hba_line *line, struct ident_line *out)
{
    struct ident_line parsed = { .file = line->file, .line = line->line, .group_at = SIZE_MAX };
    struct hba_token map, system, role;

    p->line = line;
    p->fault = (struct line_fault){ .error.p = NULL };
    TRY(take_field(p, 0, &map));
    TRY(take_field(p, 1, &system));
    TRY(take_field(p, 2, &role));
    parsed.map = map.s;
    parsed.system = (struct hba_name){ HBA_NAME_EXACT, system.s, 0 };
    if (str_starts(system.s, STR("/")))
        TRY(hba_parse_regex(p, system, find_group(role.s) != SIZE_MAX, &parsed.system));
    TRY(parse_role(p, role, &parsed.role));
    if (parsed.system.kind == HBA_NAME_REGEX && parsed.role.kind == HBA_NAME_EXACT)
        parsed.group_at = find_group(role.s);
    *out = parsed;
    return OK;
}

/* ---- asking ---- */

struct lookup {
    const struct policy *policy;
    const struct ident_question *question;
    struct err *why;
};

/**
 * Does a regular expression (without its slash in `name->text`) match? A failing engine is the answer's end.
 */
static enum code search(const struct lookup *l, const struct hba_name *name, struct str subject,
                        struct regex_match *out)
{
    struct err reason;
    enum code code = regex_search(l->policy->regexes, name->regex, subject, out, &reason);

    if (code == E_REGEX)
        return err_set(l->why, E_REGEX, "regular expression match for \"%.*s\" failed: %s",
                       STR_ARG(str_from(name->text, 1)), err_text(&reason));
    return code;
}

/** The role is the line's text with its first \1 replaced by the group. */
static bool equals_substituted(struct str role, const struct ident_line *line, struct str group)
{
    struct str before = str_first(line->role.text, line->group_at);
    struct str after = str_from(line->role.text, line->group_at + 2);

    return role.n == before.n + group.n + after.n && str_starts(role, before) &&
           str_equal(str_first(str_from(role, before.n), group.n), group) &&
           str_equal(str_from(role, before.n + group.n), after);
}

static enum code line_fits(const struct lookup *l, const struct ident_line *line, bool *out)
{
    const struct ident_question *q = l->question;
    struct regex_match match = { .matched = false };

    *out = false;
    if (line->system.kind == HBA_NAME_REGEX)
        TRY(search(l, &line->system, q->name, &match));
    else
        match.matched = str_equal(line->system.text, q->name);
    if (!match.matched)
        return OK;
    if (line->group_at == SIZE_MAX)
        return hba_user_fits(l->policy, &line->role, q->role, q->roles, out);
    if (!match.group_set)
        return err_set(l->why, E_REGEX,
                       "regular expression \"%.*s\" has no subexpressions as requested by backreference in "
                       "\"%.*s\"",
                       STR_ARG(str_from(line->system.text, 1)), STR_ARG(line->role.text));
    *out = equals_substituted(q->role, line, match.group);
    return OK;
}

enum code ident_check(const struct policy *policy, const struct ident_question *question, struct err *why)
{
    const struct lookup l = { policy, question, why };
    bool fits = false;

    if (question->map.n == 0) {
        if (str_equal(question->role, question->name))
            return OK;
        return err_set(why, E_AUTH,
                       "provided user name (%.*s) and authenticated user name (%.*s) do not match",
                       STR_ARG(question->role), STR_ARG(question->name));
    }
    for (size_t i = 0; i < policy->n_maps && !fits; i++)
        if (str_equal(policy->maps[i].map, question->map))
            TRY(line_fits(&l, &policy->maps[i], &fits));
    if (fits)
        return OK;
    return err_set(why, E_AUTH, "no match in usermap \"%.*s\" for user \"%.*s\" authenticated as \"%.*s\"",
                   STR_ARG(question->map), STR_ARG(question->role), STR_ARG(question->name));
}
