#include "sql/typer_expr.h"

#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_args.h"
#include "sql/typer_coerce.h"
#include "sql/typer_column.h"
#include "sql/typer_func.h"
#include "sql/typer_impl.h"
#include "sql/typer_ops.h"

static enum code type_logic(struct typer *t, struct scope *scope, struct expr *e, const char *what)
{
    TRY(type_args(t, scope, e));
    for (struct expr **slot = &e->args; *slot != NULL; slot = &(*slot)->next)
        TRY(type_bool(t, slot, what));
    e->type = PG_BOOL;
    return OK;
}

static enum code type_param(struct typer *t, struct expr *e)
{
    if (e->param > PARAMS_MAX)
        return sql_fail(t->e, E_UNDEF_PARAM, e->at, "there is no parameter $%u", e->param);
    if (e->param > t->in->param_count)
        t->in->param_count = e->param;
    e->type = t->in->params[e->param - 1];
    return OK;
}

static enum code type_is(struct typer *t, struct scope *scope, struct expr *e)
{
    TRY(type_args(t, scope, e));
    if (e->test != IS_NULL)
        TRY(type_bool(t, &e->args, e->test == IS_TRUE ? "IS TRUE" : "IS FALSE"));
    else if (e->args->type == PG_UNKNOWN)
        TRY(type_coerce(t, &e->args, PG_TEXT));
    e->type = PG_BOOL;
    return OK;
}

/* One column, of a type that a value beside it shall share. */
static enum code one_column(struct typer *t, struct scope *scope, const struct expr *e)
{
    TRY(t->rules->select(t, scope, e->select));
    if (e->select->column_count != 1)
        return sql_fail(t->e, E_SYNTAX, e->at, "subquery must return only one column");
    return OK;
}

static enum code type_in(struct typer *t, struct scope *scope, struct expr *e)
{
    enum pg_type common;

    TRY(type_args(t, scope, e));
    e->type = PG_BOOL;
    if (e->select == NULL)
        return type_unify(t, &e->args, e->kind == EXPR_BETWEEN ? "BETWEEN" : "IN", &common);
    TRY(one_column(t, scope, e));
    if (!type_common(e->args->type, e->select->columns[0].type, &common))
        return sql_fail(t->e, E_UNDEF_FUNCTION, e->at, "operator does not exist: %s = %s",
                        pg_type_def(e->args->type)->label, pg_type_def(e->select->columns[0].type)->label);
    if (common == PG_UNKNOWN)
        common = PG_TEXT;
    TRY(type_coerce(t, &e->args, common));
    return type_output(t, e->select, 0, common);
}

/* Splits the list operand, when, then, when, then … into its conditions and results, each of one type. */
static enum code type_case(struct typer *t, struct scope *scope, struct expr *e)
{
    enum pg_type operand = PG_UNKNOWN, result = PG_UNKNOWN;
    struct expr **slot;

    TRY(type_args(t, scope, e));
    if (e->otherwise != NULL) {
        TRY(type_expr(t, scope, &e->otherwise));
        result = e->otherwise->type;
    }
    if (e->has_operand)
        operand = e->args->type;
    for (struct expr *when = e->has_operand ? e->args->next : e->args; when != NULL;
         when = when->next->next) {
        if (e->has_operand && !type_common(operand, when->type, &operand))
            return sql_fail(t->e, E_UNDEF_FUNCTION, when->at, "operator does not exist: %s = %s",
                            pg_type_def(operand)->label, pg_type_def(when->type)->label);
        if (!type_common(result, when->next->type, &result))
            return sql_fail(t->e, E_DATATYPE, when->next->at, "CASE types %s and %s cannot be matched",
                            pg_type_def(result)->label, pg_type_def(when->next->type)->label);
    }
    operand = !e->has_operand ? PG_BOOL : operand == PG_UNKNOWN ? PG_TEXT : operand;
    result = result == PG_UNKNOWN ? PG_TEXT : result;
    slot = &e->args;
    if (e->has_operand) {
        TRY(type_coerce(t, slot, operand));
        slot = &(*slot)->next;
    }
    while (*slot != NULL) {
        if (e->has_operand)
            TRY(type_coerce(t, slot, operand));
        else
            TRY(type_bool(t, slot, "CASE/WHEN"));
        slot = &(*slot)->next;
        TRY(type_coerce(t, slot, result));
        slot = &(*slot)->next;
    }
    e->type = result;
    return e->otherwise != NULL ? type_coerce(t, &e->otherwise, result) : OK;
}

/* A literal after a cast is read as the cast's type, so it must not become text before. */
static enum code type_cast_expr(struct typer *t, struct scope *scope, struct expr *e)
{
    TRY(type_args(t, scope, e));
    return type_cast(t, &(struct expr *){ e });
}

static enum code array_of(struct typer *t, enum pg_type element, struct expr *e)
{
    if (!pg_type_array_of(element, &e->type))
        return sql_fail(t->e, E_UNSUPPORTED, e->at, "an array of %s is not supported",
                        pg_type_def(element)->label);
    return OK;
}

/* ARRAY(SELECT …) stays what it is; ARRAY[…] becomes a call. */
static enum code type_array(struct typer *t, struct scope *scope, struct expr *e)
{
    enum pg_type element;

    if (e->select != NULL) {
        TRY(one_column(t, scope, e));
        TRY(type_settle(t, e->select));
        return array_of(t, e->select->columns[0].type, e);
    }
    TRY(type_args(t, scope, e));
    if (e->args == NULL)
        return sql_fail(t->e, E_INDETERMINATE, e->at, "cannot determine type of empty array");
    TRY(type_unify(t, &e->args, "ARRAY", &element));
    TRY(array_of(t, element, e));
    e->kind = EXPR_CALL;
    e->emit = STR("pgseal_array");
    return OK;
}

enum code type_expr(struct typer *t, struct scope *scope, struct expr **slot)
{
    struct expr *e = *slot;

    switch (e->kind) {
    case EXPR_CONST:
        return OK;
    case EXPR_PARAM:
        return type_param(t, e);
    case EXPR_COLUMN:
        return type_column(t, scope, slot);
    case EXPR_STAR:
        return sql_fail(t->e, E_SYNTAX, e->at, "row expansion via \"*\" is not supported here");
    case EXPR_CALL:
        return type_call(t, scope, slot);
    case EXPR_INFIX:
        return type_infix(t, scope, slot);
    case EXPR_AND:
        return type_logic(t, scope, e, "AND");
    case EXPR_OR:
        return type_logic(t, scope, e, "OR");
    case EXPR_NOT:
        return type_logic(t, scope, e, "NOT");
    case EXPR_IS:
        return type_is(t, scope, e);
    case EXPR_BETWEEN:
    case EXPR_IN:
        return type_in(t, scope, e);
    case EXPR_ANY:
        return type_any(t, scope, slot);
    case EXPR_CASE:
        return type_case(t, scope, e);
    case EXPR_CAST:
        return type_cast_expr(t, scope, e);
    case EXPR_SELECT:
        TRY(one_column(t, scope, e));
        e->type = e->select->columns[0].type;
        return OK;
    case EXPR_EXISTS:
        TRY(t->rules->select(t, scope, e->select));
        e->type = PG_BOOL;
        return type_settle(t, e->select);
    case EXPR_ARRAY:
        return type_array(t, scope, e);
    }
    UNREACHABLE();
}

/* ---- equality, for GROUP BY and DISTINCT ---- */

static bool datum_equal(const struct datum *a, const struct datum *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == DATUM_TEXT)
        return str_equal(a->text, b->text);
    return a->kind == DATUM_NULL || a->i == b->i;
}

bool type_equal(const struct expr *a, const struct expr *b)
{
    const struct expr *x = a->args, *y = b->args;

    if (a->kind == EXPR_CAST && a->emit.n == 0 && b->kind != EXPR_CAST)
        return type_equal(a->args, b);
    if (a->kind != b->kind || !str_equal(a->emit, b->emit) || a->param != b->param || a->test != b->test ||
        a->negated != b->negated || a->distinct != b->distinct || a->select != b->select ||
        a->over != b->over || a->arg_count != b->arg_count || !datum_equal(&a->value, &b->value))
        return false;
    for (; x != NULL && y != NULL; x = x->next, y = y->next)
        if (!type_equal(x, y))
            return false;
    if ((a->otherwise == NULL) != (b->otherwise == NULL))
        return false;
    return x == NULL && y == NULL && (a->otherwise == NULL || type_equal(a->otherwise, b->otherwise));
}
