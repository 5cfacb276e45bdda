/* The list of statements. */
#include "sql/sql_parse.h"

#include "sql/sql_cursor.h"
#include "sql/sql_expr.h"
#include "sql/sql_select.h"
#include "sql/sql_stmt.h"
#include "sql/sql_utf8.h"

/* The text of a statement: from its first to its last token. */
static struct str text_between(const struct parser *p, size_t first, size_t behind)
{
    const struct token *a, *z;

    if (behind == first)
        return str_of("", 0);
    a = &p->tokens.items[first];
    z = &p->tokens.items[behind - 1];
    return str_of(a->raw.p, (size_t)(z->raw.p + z->raw.n - a->raw.p));
}

enum code sql_parse(struct arena *arena, struct str sql, struct stmt **out, struct sql_error *e)
{
    static const struct sql_rules rules = { .expr = sql_expr, .operand = sql_operand, .select = sql_select };
    struct parser p = { .rules = &rules, .arena = arena, .sql = sql, .e = e };
    struct stmt *first = NULL, **tail = &first;

    e->at = 0;
    TRY(sql_utf8_check(sql, &e->err));
    TRY(sql_lex(arena, sql, &p.tokens, e));
    while (!p.failed && sql_peek(&p, 0)->kind != TOKEN_END) {
        size_t from = p.i;
        if (sql_take_punct(&p, ";"))
            continue;
        struct stmt *stmt = SQL_NEW(&p, struct stmt);
        stmt->at = sql_peek(&p, 0)->at;
        sql_statement(&p, stmt);
        if (!p.failed && sql_peek(&p, 0)->kind != TOKEN_END && !sql_is_punct(&p, 0, ";"))
            sql_syntax(&p);
        if (p.failed)
            return e->err.code;
        stmt->text = text_between(&p, from, p.i);
        *tail = stmt;
        tail = &stmt->next;
    }
    if (first == NULL)
        first = SQL_NEW(&p, struct stmt);
    if (p.failed)
        return e->err.code;
    *out = first;
    return OK;
}
