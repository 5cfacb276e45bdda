/* Tokens for the rules, and the nodes that they make. */

#include "sql/sql_cursor.h"

#include "base/arena.h"
#include "base/check.h"

#include <stdlib.h>

/* A word that cannot be a name, and of these and the second list none can be an alias without AS.
 * [src: PostgreSQL 18, "SQL Key Words"] */
static const char *const reserved[] = {
    "all",          "analyse",
    "analyze",      "and",
    "any",          "array",
    "as",           "asc",
    "asymmetric",   "both",
    "case",         "cast",
    "check",        "collate",
    "column",       "constraint",
    "create",       "current_catalog",
    "current_date", "current_role",
    "current_time", "current_timestamp",
    "current_user", "default",
    "deferrable",   "desc",
    "distinct",     "do",
    "else",         "end",
    "except",       "false",
    "fetch",        "for",
    "foreign",      "from",
    "grant",        "group",
    "having",       "in",
    "initially",    "intersect",
    "into",         "lateral",
    "leading",      "limit",
    "localtime",    "localtimestamp",
    "not",          "null",
    "offset",       "on",
    "only",         "or",
    "order",        "placing",
    "primary",      "references",
    "returning",    "select",
    "session_user", "some",
    "symmetric",    "table",
    "then",         "to",
    "trailing",     "true",
    "union",        "unique",
    "user",         "using",
    "variadic",     "when",
    "where",        "window",
    "with",
};
static const char *const not_alias[] = {
    "authorization", "binary",  "collation",   "concurrently", "cross",  "current_schema", "filter",
    "freeze",        "full",    "ilike",       "inner",        "is",     "isnull",         "join",
    "left",          "like",    "natural",     "notnull",      "outer",  "over",           "overlaps",
    "right",         "similar", "tablesample", "verbose",      "within", "between",
};

const char *sql_reserved_word(size_t index)
{
    return index < COUNT_OF(reserved) ? reserved[index] : NULL;
}

static int compare_word(const void *key, const void *item)
{
    return str_compare(*(const struct str *)key, str_c(*(const char *const *)item));
}

static bool is_reserved(struct str word)
{
    return bsearch(&word, reserved, COUNT_OF(reserved), sizeof *reserved, compare_word) != NULL;
}

const struct token *sql_peek(const struct parser *p, size_t ahead)
{
    size_t last = p->tokens.count - 1, i = p->i + ahead;

    return &p->tokens.items[p->failed || i > last ? last : i];
}

void sql_next(struct parser *p)
{
    if (p->i + 1 < p->tokens.count)
        p->i++;
}

static bool is_token(const struct parser *p, size_t ahead, enum token_kind kind, const char *text)
{
    const struct token *t = sql_peek(p, ahead);

    return t->kind == kind && str_is(t->text, text);
}

bool sql_is_word(const struct parser *p, size_t ahead, const char *word)
{
    return is_token(p, ahead, TOKEN_WORD, word);
}

bool sql_is_punct(const struct parser *p, size_t ahead, const char *punct)
{
    return is_token(p, ahead, TOKEN_PUNCT, punct);
}

bool sql_is_operator(const struct parser *p, size_t ahead, const char *op)
{
    return is_token(p, ahead, TOKEN_OPERATOR, op);
}

static bool sql_cursor_take(struct parser *p, enum token_kind kind, const char *text)
{
    if (!is_token(p, 0, kind, text))
        return false;
    sql_next(p);
    return true;
}

bool sql_take_word(struct parser *p, const char *word)
{
    return sql_cursor_take(p, TOKEN_WORD, word);
}

bool sql_take_punct(struct parser *p, const char *punct)
{
    return sql_cursor_take(p, TOKEN_PUNCT, punct);
}

bool sql_take_operator(struct parser *p, const char *op)
{
    return sql_cursor_take(p, TOKEN_OPERATOR, op);
}

void sql_want_word(struct parser *p, const char *word)
{
    if (!sql_take_word(p, word))
        sql_syntax(p);
}

void sql_want_punct(struct parser *p, const char *punct)
{
    if (!sql_take_punct(p, punct))
        sql_syntax(p);
}

struct str sql_want_name(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);

    if (t->kind == TOKEN_QUOTED || (t->kind == TOKEN_WORD && !is_reserved(t->text))) {
        sql_next(p);
        return t->text;
    }
    sql_syntax(p);
    return str_of("", 0);
}

struct str sql_want_label(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);

    if (t->kind == TOKEN_QUOTED || t->kind == TOKEN_WORD) {
        sql_next(p);
        return t->text;
    }
    sql_syntax(p);
    return str_of("", 0);
}

bool sql_is_alias(const struct parser *p, size_t ahead)
{
    const struct token *t = sql_peek(p, ahead);

    if (t->kind == TOKEN_QUOTED)
        return true;
    return t->kind == TOKEN_WORD && !is_reserved(t->text) &&
           !str_is_one_of(t->text, not_alias, COUNT_OF(not_alias));
}

void sql_syntax(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);

    if (p->failed)
        return;
    if (t->kind == TOKEN_END)
        (void)sql_fail(p->e, E_SYNTAX, t->at, "syntax error at end of input");
    else
        (void)sql_fail(p->e, E_SYNTAX, t->at, "syntax error at or near \"%.*s\"",
                       STR_ARG(str_first(t->raw, 256)));
    p->failed = true;
}

void sql_unsupported(struct parser *p, uint32_t at, const char *what)
{
    if (p->failed)
        return;
    (void)sql_fail(p->e, E_UNSUPPORTED, at, "%s not supported in the status database", what);
    p->failed = true;
}

void *sql_alloc(struct parser *p, size_t n)
{
    void *node = arena_alloc(p->arena, n);
    static _Thread_local _Alignas(max_align_t) unsigned char nowhere[512];

    if (node != NULL)
        return node;
    CHECK(n <= sizeof nowhere);
    if (!p->failed)
        (void)sql_fail(p->e, E_NOMEM, sql_peek(p, 0)->at, "out of memory");
    p->failed = true;
    memset(nowhere, 0, sizeof nowhere); /* the rules go on into it until they see the end of input */
    return nowhere;
}

bool sql_enter(struct parser *p)
{
    if (++p->depth <= SQL_DEPTH_MAX)
        return true;
    if (!p->failed) {
        (void)sql_fail(p->e, E_COMPLEX, sql_peek(p, 0)->at, "statement is nested too deeply");
        p->failed = true;
    }
    return false;
}

void sql_leave(struct parser *p)
{
    p->depth--;
}

struct name_list sql_names(struct parser *p)
{
    struct name_list list = { 0 };
    size_t room = 0;

    do {
        struct str name = sql_want_name(p);
        struct str *items = arena_grow(p->arena, list.items, list.count, &room, sizeof *items);
        if (items == NULL || p->failed) {
            sql_syntax(p);
            return list;
        }
        list.items = items;
        list.items[list.count++] = name;
    } while (sql_take_punct(p, ","));
    sql_want_punct(p, ")");
    return list;
}

bool sql_at_select(const struct parser *p, size_t ahead)
{
    while (sql_is_punct(p, ahead, "("))
        ahead++;
    return sql_is_word(p, ahead, "select") || sql_is_word(p, ahead, "values") ||
           sql_is_word(p, ahead, "with") ||
           (sql_is_word(p, ahead, "table") && sql_peek(p, ahead + 1)->kind == TOKEN_WORD);
}
