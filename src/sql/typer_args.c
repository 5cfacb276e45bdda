#include "sql/typer_args.h"

#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_coerce.h"
#include "sql/typer_impl.h"

enum code type_args(struct typer *t, struct scope *scope, struct expr *e)
{
    for (struct expr **slot = &e->args; *slot != NULL; slot = &(*slot)->next)
        TRY(t->rules->expr(t, scope, slot));
    return OK;
}

enum code type_bool(struct typer *t, struct expr **slot, const char *what)
{
    const struct expr *e = *slot;

    CHECK(e != NULL);
    if (e->type != PG_BOOL && e->type != PG_UNKNOWN)
        return sql_fail(t->e, E_DATATYPE, e->at, "argument of %s must be type boolean, not type %s", what,
                        pg_type_def(e->type)->label);
    return type_coerce(t, slot, PG_BOOL);
}

enum code type_condition(struct typer *t, struct scope *scope, struct expr **slot, const char *clause)
{
    TRY(t->rules->expr(t, scope, slot));
    return type_bool(t, slot, clause);
}
