#include "sql/sql_node.h"

#include "sql/sql_cursor.h"

struct expr *sql_node(struct parser *p, enum expr_kind kind, uint32_t at)
{
    struct expr *e = SQL_NEW(p, struct expr);

    e->kind = kind;
    e->at = at;
    e->type = PG_UNKNOWN;
    return e;
}

void sql_add_arg(struct expr *e, struct expr *arg)
{
    if (arg == e || arg == e->last_arg)
        return; /* only when memory ran out: every new node is then the same */
    if (e->args == NULL)
        e->args = arg;
    else
        e->last_arg->next = arg;
    for (; arg != NULL; arg = arg->next) {
        e->arg_count++;
        e->last_arg = arg;
    }
}

struct expr *sql_call1(struct parser *p, uint32_t at, const char *function, struct expr *arg)
{
    struct expr *e = sql_node(p, EXPR_CALL, at);

    e->name = str_c(function);
    if (arg != NULL)
        sql_add_arg(e, arg);
    return e;
}

struct expr *sql_text(struct parser *p, uint32_t at, struct str text)
{
    struct expr *e = sql_node(p, EXPR_CONST, at);

    e->value = datum_text(text);
    return e;
}
