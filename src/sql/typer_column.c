#include "sql/typer_column.h"

#include "pgtypes/type.h"
#include "sql/typer_func.h"
#include "sql/typer_impl.h"

bool type_has_table(const struct scope *scope, struct str table)
{
    for (size_t i = 0; i < scope->table_count; i++)
        if (str_equal(scope->tables[i], table))
            return true;
    return false;
}

static bool matches(const struct visible *v, const struct expr *e)
{
    if (!str_equal(v->name, e->name))
        return false;
    return e->table.n > 0 ? str_equal(v->table, e->table) : !v->hidden;
}

static enum code no_column(struct typer *t, struct scope *scope, const struct expr *e)
{
    if (e->table.n == 0) {
        for (; scope != NULL; scope = scope->outer)
            if (type_has_table(scope, e->name))
                return sql_fail(t->e, E_UNSUPPORTED, e->at,
                                "a whole row as a value is not supported in the status database");
        return sql_fail(t->e, E_UNDEF_COLUMN, e->at, "column \"%.*s\" does not exist", STR_ARG(e->name));
    }
    for (; scope != NULL; scope = scope->outer)
        if (type_has_table(scope, e->table))
            return sql_fail(t->e, E_UNDEF_COLUMN, e->at, "column %.*s.%.*s does not exist", STR_ARG(e->table),
                            STR_ARG(e->name));
    return sql_fail(t->e, E_UNDEF_TABLE, e->at, "missing FROM-clause entry for table \"%.*s\"",
                    STR_ARG(e->table));
}

enum code type_column(struct typer *t, struct scope *scope, struct expr **slot)
{
    struct expr *e = *slot;

    if (e->emit.n > 0) /* made by the typer itself */
        return OK;
    for (const struct scope *s = scope; s != NULL; s = s->outer) {
        const struct visible *found = NULL;
        for (const struct visible *v = s->columns; v != NULL; v = v->next) {
            if (!matches(v, e))
                continue;
            if (found != NULL)
                return sql_fail(t->e, E_AMBIGUOUS_COLUMN, e->at, "column reference \"%.*s\" is ambiguous",
                                STR_ARG(e->name));
            found = v;
        }
        if (found != NULL) {
            e->type = found->type;
            e->emit = found->emit;
            e->scope = s->id;
            e->table = found->table; /* for messages */
            return OK;
        }
    }
    if (e->table.n == 0 && str_is(e->name, "system_user")) {
        e->kind = EXPR_CALL;
        return type_call(t, scope, slot);
    }
    return no_column(t, scope, e);
}
