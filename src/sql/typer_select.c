/* Queries: select lists, grouping, set operations, WITH, ORDER BY, LIMIT. [src: PostgreSQL 18, "SELECT"] */
#include "sql/typer_select.h"

#include "base/arena.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_args.h"
#include "sql/typer_coerce.h"
#include "sql/typer_expr.h"
#include "sql/typer_from.h"
#include "sql/typer_impl.h"

static enum code make_columns(struct typer *t, struct select *s, size_t count)
{
    s->columns = arena_array(t->arena, count, sizeof *s->columns);
    s->column_count = count;
    if (s->columns == NULL)
        return type_nomem(t);
    for (size_t i = 0; i < count; i++)
        if (!arena_printf(t->arena, &s->columns[i].emit, "c%zu", i + 1))
            return type_nomem(t);
    return OK;
}

/* ---- output columns ---- */

/* ---- GROUP BY and ORDER BY items ---- */

/* An integer constant stands for an output column; 0 when the item is none. */
static enum code position_of(struct typer *t, const struct select *s, const struct expr *e,
                             const char *clause, size_t *out)
{
    *out = 0;
    if (e->kind != EXPR_CONST || e->value.kind == DATUM_NULL)
        return OK;
    if (e->value.kind != DATUM_INT || e->type == PG_BOOL)
        return sql_fail(t->e, E_SYNTAX, e->at, "non-integer constant in %s", clause);
    if (e->value.i < 1 || (uint64_t)e->value.i > s->column_count)
        return sql_fail(t->e, E_COLUMN_REF, e->at, "%s position %lld is not in select list", clause,
                        (long long)e->value.i);
    *out = (size_t)e->value.i;
    return OK;
}

/* An output column by its bare name; 0 when there is none. Two of the same name must be the same. */
static enum code named_output(struct typer *t, const struct select *s, const struct expr *e,
                              const char *clause, size_t *out)
{
    size_t i = 0, found = 0;
    const struct expr *first = NULL;

    *out = 0;
    if (e->kind != EXPR_COLUMN || e->table.n > 0)
        return OK;
    for (const struct target *target = s->targets; target != NULL; target = target->next, i++) {
        if (!str_equal(target->name, e->name))
            continue;
        if (found != 0 && !type_equal(first, target->expr))
            return sql_fail(t->e, E_AMBIGUOUS_COLUMN, e->at, "%s \"%.*s\" is ambiguous", clause,
                            STR_ARG(e->name));
        if (found == 0) {
            found = i + 1;
            first = target->expr;
        }
    }
    *out = found;
    return OK;
}

static bool column_visible(const struct scope *scope, struct str name)
{
    for (const struct visible *v = scope->columns; v != NULL; v = v->next)
        if (!v->hidden && str_equal(v->name, name))
            return true;
    return false;
}

static size_t equal_target(const struct select *s, const struct expr *e)
{
    size_t i = 1;

    for (const struct target *target = s->targets; target != NULL; target = target->next, i++)
        if (type_equal(target->expr, e))
            return i;
    return 0;
}

/* The first aggregate within an expression, or NULL. */
static const struct expr *find_aggregate(const struct expr *e)
{
    const struct expr *found = e->aggregate ? e : NULL;

    for (const struct expr *arg = e->args; arg != NULL && found == NULL; arg = arg->next)
        found = find_aggregate(arg);
    return found == NULL && e->otherwise != NULL ? find_aggregate(e->otherwise) : found;
}

/* GROUP BY: an input column before an output column. The item becomes the expression it stands for. */
static enum code type_group(struct typer *t, struct scope *scope, struct select *s)
{
    for (struct expr **slot = &s->group; *slot != NULL; slot = &(*slot)->next) {
        size_t position;
        TRY(position_of(t, s, *slot, "GROUP BY", &position));
        if (position == 0 && !((*slot)->kind == EXPR_COLUMN && column_visible(scope, (*slot)->name)))
            TRY(named_output(t, s, *slot, "GROUP BY", &position));
        if (position == 0) {
            TRY(type_expr(t, scope, slot));
            if ((*slot)->type == PG_UNKNOWN)
                TRY(type_coerce(t, slot, PG_TEXT));
            continue;
        }
        struct expr *copy = ARENA_NEW(t->arena, struct expr);
        if (copy == NULL)
            return type_nomem(t);
        *copy = **type_target(s, position - 1);
        const struct expr *aggregate = find_aggregate(copy);
        if (aggregate != NULL)
            return sql_fail(t->e, E_GROUPING, aggregate->at,
                            "aggregate functions are not allowed in GROUP BY");
        type_replace(slot, copy);
    }
    return OK;
}

static enum code type_order(struct typer *t, struct scope *scope, struct select *s)
{
    for (struct order *o = s->order; o != NULL; o = o->next) {
        TRY(position_of(t, s, o->expr, "ORDER BY", &o->position));
        if (o->position == 0 && s->kind == SELECT_PLAIN)
            TRY(named_output(t, s, o->expr, "ORDER BY", &o->position));
        if (o->position == 0 && s->kind != SELECT_PLAIN) {
            for (size_t i = 0; i < s->column_count && o->position == 0; i++)
                if (o->expr->kind == EXPR_COLUMN && o->expr->table.n == 0 &&
                    str_equal(s->columns[i].name, o->expr->name))
                    o->position = i + 1;
            if (o->position == 0 && o->expr->kind == EXPR_COLUMN)
                return sql_fail(t->e, E_UNDEF_COLUMN, o->at, "column \"%.*s\" does not exist",
                                STR_ARG(o->expr->name));
            if (o->position == 0)
                return sql_fail(t->e, E_UNSUPPORTED, o->at, "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
        }
        if (o->position > 0)
            continue;
        TRY(type_expr(t, scope, &o->expr));
        if (o->expr->type == PG_UNKNOWN)
            TRY(type_coerce(t, &o->expr, PG_TEXT));
        o->position = equal_target(s, o->expr);
        if (o->position == 0 && s->distinct)
            return sql_fail(t->e, E_COLUMN_REF, o->at,
                            "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    }
    return OK;
}

/* ---- the rule of GROUP BY ---- */

static enum code check_grouped(struct typer *t, const struct select *s, const struct expr *e)
{
    for (const struct expr *g = s->group; g != NULL; g = g->next)
        if (type_equal(g, e))
            return OK;
    if (e->kind == EXPR_CALL && e->aggregate)
        return OK;
    if (e->kind == EXPR_COLUMN && e->scope == s->id)
        return sql_fail(t->e, E_GROUPING, e->at,
                        "column \"%.*s%s%.*s\" must appear in the GROUP BY clause or be used in an aggregate "
                        "function",
                        STR_ARG(e->table), e->table.n ? "." : "", STR_ARG(e->name));
    for (const struct expr *arg = e->args; arg != NULL; arg = arg->next)
        TRY(check_grouped(t, s, arg));
    return e->otherwise != NULL ? check_grouped(t, s, e->otherwise) : OK;
}

static enum code check_grouping(struct typer *t, const struct select *s)
{
    if (!s->grouped)
        return OK;
    for (const struct target *target = s->targets; target != NULL; target = target->next)
        TRY(check_grouped(t, s, target->expr));
    if (s->having != NULL)
        TRY(check_grouped(t, s, s->having));
    for (const struct order *o = s->order; o != NULL; o = o->next)
        if (o->position == 0)
            TRY(check_grouped(t, s, o->expr));
    return OK;
}

/* ---- bodies ---- */

static enum code type_targets(struct typer *t, struct scope *scope, struct select *s)
{
    size_t count = 0, i = 0;

    TRY(type_expand(t, scope, &s->targets));
    for (struct target *target = s->targets; target != NULL; target = target->next) {
        TRY(type_expr(t, scope, &target->expr));
        count++;
    }
    if (count > 1600)
        return sql_fail(t->e, E_COMPLEX, s->at, "target lists can have at most %d entries", 1600);
    TRY(make_columns(t, s, count));
    for (const struct target *target = s->targets; target != NULL; target = target->next, i++) {
        s->columns[i].name = target->name;
        s->columns[i].type = target->expr->type;
    }
    return OK;
}

static enum code type_plain(struct typer *t, struct scope *scope, struct select *s)
{
    TRY(type_from(t, scope, s->from));
    if (s->where != NULL) {
        scope->no_aggregates = "WHERE";
        TRY(type_condition(t, scope, &s->where, "WHERE"));
        scope->no_aggregates = NULL;
    }
    TRY(type_targets(t, scope, s));
    scope->no_aggregates = "GROUP BY";
    TRY(type_group(t, scope, s));
    scope->no_aggregates = NULL;
    if (s->having != NULL)
        TRY(type_condition(t, scope, &s->having, "HAVING"));
    return OK;
}

static enum code type_values(struct typer *t, struct scope *scope, struct select *s)
{
    TRY(make_columns(t, s, s->rows->count));
    scope->no_aggregates = "VALUES";
    for (size_t i = 0; i < s->column_count; i++) {
        s->columns[i].type = PG_UNKNOWN;
        if (!arena_printf(t->arena, &s->columns[i].name, "column%zu", i + 1))
            return type_nomem(t);
    }
    for (struct values_row *row = s->rows; row != NULL; row = row->next) {
        size_t i = 0;
        for (struct expr **slot = &row->items; *slot != NULL; slot = &(*slot)->next, i++) {
            enum pg_type before = s->columns[i].type;
            TRY(type_expr(t, scope, slot));
            if (!type_common(before, (*slot)->type, &s->columns[i].type))
                return sql_fail(t->e, E_DATATYPE, (*slot)->at, "VALUES types %s and %s cannot be matched",
                                pg_type_def(before)->label, pg_type_def((*slot)->type)->label);
        }
    }
    for (size_t i = 0; i < s->column_count; i++) { /* now that the types are known, all rows take them */
        enum pg_type type = s->columns[i].type;
        s->columns[i].type = PG_TYPE_COUNT;
        TRY(type_output(t, s, i, type));
    }
    return OK;
}

static const char *set_name(enum set_op op)
{
    switch (op) {
    case SET_UNION:
        return "UNION";
    case SET_INTERSECT:
        return "INTERSECT";
    case SET_EXCEPT:
        return "EXCEPT";
    }
    UNREACHABLE();
}

/* Bring both sides' columns to common types, and take the left side's names. */
static enum code match_sides(struct typer *t, struct select *s)
{
    if (s->left->column_count != s->right->column_count)
        return sql_fail(t->e, E_SYNTAX,
                        s->right->targets != NULL ? s->right->targets->expr->at : s->right->at,
                        "each %s query must have the same number of columns", set_name(s->op));
    TRY(make_columns(t, s, s->left->column_count));
    for (size_t i = 0; i < s->column_count; i++) {
        enum pg_type a = s->left->columns[i].type, b = s->right->columns[i].type;
        s->columns[i].name = s->left->columns[i].name;
        if (!type_common(a, b, &s->columns[i].type))
            return sql_fail(t->e, E_DATATYPE, s->right->at, "%s types %s and %s cannot be matched",
                            set_name(s->op), pg_type_def(a)->label, pg_type_def(b)->label);
        TRY(type_output(t, s->left, i, s->columns[i].type));
        TRY(type_output(t, s->right, i, s->columns[i].type));
    }
    return OK;
}

static enum code type_set(struct typer *t, struct scope *scope, struct select *s)
{
    TRY(type_select(t, scope->outer, s->left));
    TRY(type_select(t, scope->outer, s->right));
    return match_sides(t, s);
}

/* ---- WITH ---- */

static enum code name_with(struct typer *t, struct with *w, struct select *body)
{
    struct column *out = arena_array(t->arena, body->column_count, sizeof *out);

    if (out == NULL)
        return type_nomem(t);
    if (w->columns.count > body->column_count)
        return sql_fail(t->e, E_COLUMN_REF, w->at,
                        "WITH query \"%.*s\" has %zu columns available but %zu columns specified",
                        STR_ARG(w->name), body->column_count, w->columns.count);
    for (size_t i = 0; i < body->column_count; i++) {
        out[i] = body->columns[i];
        if (i < w->columns.count)
            out[i].name = w->columns.items[i];
    }
    w->out = out;
    w->out_count = body->column_count;
    w->usable = true;
    return OK;
}

static bool mentions(const struct select *s, struct str name);

static bool from_mentions(const struct from *f, struct str name)
{
    for (; f != NULL; f = f->next) {
        if (f->kind == FROM_JOIN ? from_mentions(f->left, name) || from_mentions(f->right, name)
                                 : f->schema.n == 0 && str_equal(f->name, name))
            return true;
        if (f->kind == FROM_SELECT && f->select != NULL && mentions(f->select, name))
            return true;
    }
    return false;
}

static bool mentions(const struct select *s, struct str name)
{
    if (s->kind == SELECT_SET)
        return mentions(s->left, name) || mentions(s->right, name);
    return from_mentions(s->from, name);
}

/* first UNION [ALL] rest, where the rest names the query itself: the first part gives the types. */
static enum code type_recursive(struct typer *t, struct scope *outer, struct with *w)
{
    struct select *s = w->select;

    if (s->kind != SELECT_SET || s->op != SET_UNION || mentions(s->left, w->name) || s->with != NULL ||
        s->order != NULL || s->limit != NULL)
        return sql_fail(t->e, E_UNSUPPORTED, w->at,
                        "recursive query \"%.*s\" does not have the form non-recursive-term UNION [ALL] "
                        "recursive-term",
                        STR_ARG(w->name));
    s->id = ++t->next_id;
    TRY(type_select(t, outer, s->left));
    TRY(type_settle(t, s->left));
    TRY(name_with(t, w, s->left));
    TRY(type_select(t, outer, s->right));
    for (size_t i = 0; i < s->left->column_count && i < s->right->column_count; i++)
        if (!type_implicit(s->right->columns[i].type, s->left->columns[i].type))
            return sql_fail(
                t->e, E_DATATYPE, s->right->at,
                "recursive query \"%.*s\" column %zu has type %s in non-recursive term but type %s "
                "overall",
                STR_ARG(w->name), i + 1, pg_type_def(s->left->columns[i].type)->label,
                pg_type_def(s->right->columns[i].type)->label);
    return match_sides(t, s);
}

static enum code type_with(struct typer *t, struct scope *outer, struct select *s)
{
    for (struct with *w = s->with; w != NULL; w = w->next) {
        for (const struct with *before = s->with; before != w; before = before->next)
            if (str_equal(before->name, w->name))
                return sql_fail(t->e, E_DUP_ALIAS, w->at, "WITH query name \"%.*s\" specified more than once",
                                STR_ARG(w->name));
        if (t->with_count == COUNT_OF(t->withs))
            return sql_fail(t->e, E_COMPLEX, w->at, "statement is too complex");
        t->withs[t->with_count++] = w;
        w->id = ++t->next_id;
        if (s->recursive && mentions(w->select, w->name)) {
            TRY(type_recursive(t, outer, w));
            continue;
        }
        TRY(type_select(t, outer, w->select));
        TRY(type_settle(t, w->select));
        TRY(name_with(t, w, w->select));
    }
    return OK;
}

/* ---- all of it ---- */

static enum code type_limit(struct typer *t, struct scope *scope, struct expr **slot, const char *clause)
{
    struct scope inner = {
        .outer = scope->outer, .id = scope->id, .no_aggregates = clause, .select = scope->select
    };

    if (*slot == NULL)
        return OK;
    TRY(type_expr(t, &inner, slot));
    if (!type_implicit((*slot)->type, PG_INT8))
        return sql_fail(t->e, E_DATATYPE, (*slot)->at, "argument of %s must be type bigint, not type %s",
                        clause, pg_type_def((*slot)->type)->label);
    return type_coerce(t, slot, PG_INT8);
}

static enum code type_body(struct typer *t, struct scope *scope, struct select *s)
{
    switch (s->kind) {
    case SELECT_PLAIN:
        return type_plain(t, scope, s);
    case SELECT_VALUES:
        return type_values(t, scope, s);
    case SELECT_SET:
        return type_set(t, scope, s);
    }
    UNREACHABLE();
}

enum code type_select(struct typer *t, struct scope *outer, struct select *s)
{
    size_t with_count = t->with_count;
    struct scope scope = { .outer = outer, .id = ++t->next_id, .select = s };

    s->id = scope.id;
    TRY(type_with(t, outer, s));
    TRY(type_body(t, &scope, s));
    scope.no_aggregates = NULL;
    TRY(type_order(t, &scope, s));
    TRY(type_limit(t, &scope, &s->limit, "LIMIT"));
    TRY(type_limit(t, &scope, &s->offset, "OFFSET"));
    TRY(check_grouping(t, s));
    t->with_count = with_count;
    return OK;
}
