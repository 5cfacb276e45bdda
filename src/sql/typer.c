/* The entry of the typer, and how its files come back up. */
#include "base/arena.h"
#include "sql/typer_coerce.h"
#include "sql/typer_expr.h"
#include "sql/typer_impl.h"
#include "sql/typer_select.h"

enum code sql_type(struct typing *typing, struct select *s, struct sql_error *e)
{
    static const struct typer_rules rules = { .expr = type_expr, .select = type_select };
    struct typer t = { .rules = &rules, .in = typing, .arena = typing->arena, .e = e };

    TRY(type_select(&t, NULL, s));
    TRY(type_settle(&t, s));
    for (size_t i = 0; i < typing->param_count; i++)
        if (typing->params[i] == PG_UNKNOWN)
            typing->params[i] = PG_TEXT;
    return OK;
}
