#include "sql/typer_from.h"

#include "base/arena.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_args.h"
#include "sql/typer_coerce.h"
#include "sql/typer_column.h"
#include "sql/typer_impl.h"

enum { FROM_MAX = 64 }; /* as in SQLite */

static enum code add_visible(struct typer *t, struct visible ***tail, const struct visible *column)
{
    struct visible *v = ARENA_NEW(t->arena, struct visible);

    if (v == NULL)
        return type_nomem(t);
    *v = *column;
    v->next = NULL;
    **tail = v;
    *tail = &v->next;
    return OK;
}

static enum code typer_from_text_of(struct typer *t, struct str *out, const char *table, unsigned id,
                                    struct str column)
{
    return arena_printf(t->arena, out, "%s%u.\"%.*s\"", table, id, STR_ARG(column)) ? OK : type_nomem(t);
}

/* PostgreSQL tells no place for some errors. */
static enum code nowhere(struct typer *t, enum code code)
{
    t->e->at = 0;
    return code;
}

/* ---- relations ---- */

struct relation {
    const struct column *columns;
    size_t count;
    struct str alias;
};

static const struct with *find_with(const struct typer *t, const struct from *f)
{
    if (f->schema.n > 0)
        return NULL;
    for (size_t i = t->with_count; i > 0; i--)
        if (t->withs[i - 1]->usable && str_equal(t->withs[i - 1]->name, f->name))
            return t->withs[i - 1];
    return NULL;
}

/* Its columns, as SQLite calls them. */
static enum code relation_columns(struct typer *t, const struct relation_def *def, const struct column **out)
{
    struct column *columns = arena_array(t->arena, def->column_count, sizeof *columns);

    if (columns == NULL)
        return type_nomem(t);
    for (size_t i = 0; i < def->column_count; i++) {
        columns[i].name = str_c(def->columns[i].name);
        columns[i].type = def->columns[i].type;
        columns[i].emit = columns[i].name;
    }
    *out = columns;
    return OK;
}

static bool may_read(const struct typer *t, const struct relation_def *def)
{
    switch (def->readers) {
    case READERS_PRIVILEGED:
        return t->in->is_admin || t->in->can_see_all;
    case READERS_ADMIN:
        return t->in->is_admin;
    case READERS_ALL:
        return true;
    }
    UNREACHABLE();
}

static enum code use_relation(struct typer *t, struct from *f, unsigned number, struct relation *out)
{
    const struct relation_def *def = &t->in->schema->relations[number];

    if (!may_read(t, def)) {
        t->e->at = 0;
        return err_set(&t->e->err, E_ACCESS, "permission denied for %s %s",
                       f->kind == FROM_CALL ? "function" : "view", def->name);
    }
    f->kind = FROM_TABLE;
    f->relation = def;
    t->in->relations |= UINT64_C(1) << number;
    out->count = def->column_count;
    return relation_columns(t, def, &out->columns);
}

static bool find_relation(const struct typer *t, struct str name, unsigned *out)
{
    for (unsigned i = 0; i < t->in->schema->relation_count; i++) {
        if (str_is(name, t->in->schema->relations[i].name)) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum code from_table(struct typer *t, struct from *f, struct relation *out)
{
    unsigned number;

    f->with = find_with(t, f);
    if (f->with != NULL) {
        out->columns = f->with->out;
        out->count = f->with->out_count;
        return OK;
    }
    if (f->schema.n > 0 && !str_is(f->schema, "pg_catalog") && !str_is(f->schema, "public"))
        return sql_fail(t->e, E_UNDEF_TABLE, f->at, "relation \"%.*s.%.*s\" does not exist",
                        STR_ARG(f->schema), STR_ARG(f->name));
    if (!find_relation(t, f->name, &number))
        return sql_fail(t->e, E_UNDEF_TABLE, f->at, "relation \"%.*s%s%.*s\" does not exist",
                        STR_ARG(f->schema), f->schema.n ? "." : "", STR_ARG(f->name));
    return use_relation(t, f, number, out);
}

static enum code from_select(struct typer *t, struct scope *scope, struct from *f, struct relation *out)
{
    struct scope *outer = scope->outer;

    TRY(t->rules->select(t, outer, f->select));
    TRY(type_settle(t, f->select));
    out->columns = f->select->columns;
    out->count = f->select->column_count;
    return OK;
}

/* generate_series(from, to [, step]) of integers: a table of one column with three arguments. */
static enum code from_series(struct typer *t, struct from *f, struct column *out)
{
    struct expr *call = f->call, *one;
    enum pg_type type;

    if (call->arg_count == 2) {
        one = type_const_int(t, 1);
        if (one == NULL)
            return type_nomem(t);
        one->type = PG_INT4;
        call->args->next->next = one;
        call->arg_count = 3;
    }
    TRY(type_unify(t, &call->args, "generate_series", &type));
    if (type != PG_INT2 && type != PG_INT4 && type != PG_INT8)
        return sql_fail(t->e, E_UNSUPPORTED, f->at,
                        "generate_series of %s is not supported in the status database",
                        pg_type_def(type)->label);
    out->type = type == PG_INT2 ? PG_INT4 : type;
    call->emit = STR("pgseal_series");
    return OK;
}

/* unnest(array): likewise; the other arguments say whether its elements are numbers. */
static enum code from_unnest(struct typer *t, struct from *f, struct column *out)
{
    struct expr *call = f->call, *numbers, *nothing = type_const_int(t, 0);

    if (call->args->type == PG_UNKNOWN)
        TRY(type_coerce(t, &call->args, PG_TEXTS));
    if (pg_type_def(call->args->type)->category != 'A')
        return sql_fail(t->e, E_UNDEF_FUNCTION, f->at, "function unnest(%s) does not exist",
                        pg_type_def(call->args->type)->label);
    out->type = pg_type_def(call->args->type)->element;
    numbers = type_const_int(t, out->type != PG_TEXT);
    if (numbers == NULL || nothing == NULL)
        return type_nomem(t);
    call->args->next = numbers;
    numbers->next = nothing;
    call->arg_count = 3;
    call->emit = STR("pgseal_unnest");
    return OK;
}

/* False in *out_found when the function gives no rows of its own. */
static enum code from_rows_call(struct typer *t, struct scope *scope, struct from *f, struct relation *out,
                                bool *out_found)
{
    bool series = str_is(f->name, "generate_series") && (f->call->arg_count == 2 || f->call->arg_count == 3);
    bool unnest = str_is(f->name, "unnest") && f->call->arg_count == 1;
    struct scope outside = { .outer = scope->outer, .id = scope->id, .no_aggregates = "functions in FROM" };
    struct column *column = ARENA_NEW(t->arena, struct column);

    *out_found = series || unnest;
    if (!*out_found)
        return OK;
    if (column == NULL)
        return type_nomem(t);
    TRY(type_args(t, &outside, f->call));
    TRY(series ? from_series(t, f, column) : from_unnest(t, f, column));
    column->name = f->alias.n > 0 ? f->alias : f->name;
    column->emit = STR("value");
    out->columns = column;
    out->count = 1;
    return OK;
}

/* A function in FROM: one that stands for a relation, or a value as a row of one column. */
static enum code from_call(struct typer *t, struct scope *scope, struct from *f, struct relation *out)
{
    const struct sql_schema *schema = t->in->schema;
    struct select *s = ARENA_NEW(t->arena, struct select);
    struct target *target = ARENA_NEW(t->arena, struct target);
    bool found;

    TRY(from_rows_call(t, scope, f, out, &found));
    if (found)
        return OK;
    for (size_t i = 0; i < schema->call_count; i++)
        if (f->call->arg_count == 0 && str_is(f->name, schema->calls[i].name))
            return use_relation(t, f, schema->calls[i].relation, out);
    if (s == NULL || target == NULL)
        return type_nomem(t);
    target->expr = f->call;
    target->name = f->alias.n > 0 ? f->alias : f->name;
    s->at = f->at;
    s->targets = target;
    f->kind = FROM_SELECT;
    f->select = s;
    return from_select(t, scope, f, out);
}

static enum code check_alias(struct typer *t, struct scope *scope, const struct from *f, struct str alias)
{
    struct str *tables;

    if (scope->table_count == FROM_MAX)
        return sql_fail(t->e, E_COMPLEX, f->at, "at most %d relations can be joined", FROM_MAX);
    for (size_t i = 0; i < scope->table_count; i++)
        if (str_equal(scope->tables[i], alias))
            return nowhere(t, sql_fail(t->e, E_DUP_ALIAS, f->at,
                                       "table name \"%.*s\" specified more than once", STR_ARG(alias)));
    tables = arena_array(t->arena, scope->table_count + 1, sizeof *tables);
    if (tables == NULL)
        return type_nomem(t);
    if (scope->table_count > 0)
        memcpy(tables, scope->tables, scope->table_count * sizeof *tables);
    tables[scope->table_count++] = alias;
    scope->tables = tables;
    return OK;
}

static enum code from_relation(struct typer *t, struct scope *scope, struct from *f, struct visible ***tail)
{
    struct relation r = { .alias = f->alias.n > 0 ? f->alias : f->name };

    f->id = ++t->next_id;
    if (f->kind == FROM_TABLE)
        TRY(from_table(t, f, &r));
    else if (f->kind == FROM_CALL)
        TRY(from_call(t, scope, f, &r));
    else
        TRY(from_select(t, scope, f, &r));
    if (r.alias.n > 0)
        TRY(check_alias(t, scope, f, r.alias));
    if (f->columns.count > r.count)
        return nowhere(t, sql_fail(t->e, E_COLUMN_REF, f->at,
                                   "table \"%.*s\" has %zu columns available but %zu columns specified",
                                   STR_ARG(r.alias), r.count, f->columns.count));
    for (size_t i = 0; i < r.count; i++) {
        struct visible v = { .name = i < f->columns.count ? f->columns.items[i] : r.columns[i].name,
                             .table = r.alias,
                             .type = r.columns[i].type };
        TRY(typer_from_text_of(t, &v.emit, "t", f->id, r.columns[i].emit));
        TRY(add_visible(t, tail, &v));
    }
    return OK;
}

/* ---- joins ---- */

static struct visible *find_one(struct visible *list, struct str name, size_t *out_count)
{
    struct visible *found = NULL;

    *out_count = 0;
    for (; list != NULL; list = list->next) {
        if (!list->hidden && str_equal(list->name, name)) {
            found = list;
            ++*out_count;
        }
    }
    return found;
}

static enum code using_side(struct typer *t, const struct from *join, struct visible *list, struct str name,
                            struct visible **out)
{
    const char *side = *out == NULL ? "left" : "right";
    size_t count;

    *out = find_one(list, name, &count);
    if (count == 0)
        return nowhere(t, sql_fail(t->e, E_UNDEF_COLUMN, join->at,
                                   "column \"%.*s\" specified in USING clause does not exist in %s table",
                                   STR_ARG(name), side));
    if (count > 1)
        return nowhere(t, sql_fail(t->e, E_AMBIGUOUS_COLUMN, join->at,
                                   "common column name \"%.*s\" appears more than once in %s table",
                                   STR_ARG(name), side));
    return OK;
}

static struct expr *column_expr(struct typer *t, const struct visible *v)
{
    struct expr *e = ARENA_NEW(t->arena, struct expr);

    if (e == NULL)
        return NULL;
    e->kind = EXPR_COLUMN;
    e->name = v->name;
    e->type = v->type;
    e->emit = v->emit;
    return e;
}

/* left.name = right.name, added to the join's condition. */
static enum code add_equality(struct typer *t, struct from *join, const struct visible *a,
                              const struct visible *b)
{
    struct expr *eq = ARENA_NEW(t->arena, struct expr), *left = column_expr(t, a), *right = column_expr(t, b);
    enum pg_type common;

    if (eq == NULL || left == NULL || right == NULL)
        return type_nomem(t);
    if (!type_common(a->type, b->type, &common))
        return sql_fail(t->e, E_DATATYPE, join->at, "JOIN/USING types %s and %s cannot be matched",
                        pg_type_def(a->type)->label, pg_type_def(b->type)->label);
    left->next = right;
    eq->kind = EXPR_INFIX;
    eq->type = PG_BOOL;
    eq->emit = STR("=");
    eq->args = left;
    eq->arg_count = 2;
    TRY(type_coerce(t, &eq->args, common));
    TRY(type_coerce(t, &eq->args->next, common));
    if (join->on == NULL || join->on->kind != EXPR_AND) {
        struct expr *both = ARENA_NEW(t->arena, struct expr);
        if (both == NULL)
            return type_nomem(t);
        both->kind = EXPR_AND;
        both->type = PG_BOOL;
        both->args = join->on;
        both->arg_count = join->on != NULL;
        join->on = both;
    }
    eq->next = join->on->args;
    join->on->args = eq;
    join->on->arg_count++;
    return OK;
}

/* One column of USING: both sides' columns are hidden behind a merged one. */
static enum code merge_column(struct typer *t, struct from *join, struct str name, struct visible *lists[2],
                              struct visible ***merged)
{
    struct visible *a = NULL, *b;
    struct visible v;

    TRY(using_side(t, join, lists[0], name, &a));
    b = a;
    TRY(using_side(t, join, lists[1], name, &b));
    TRY(add_equality(t, join, a, b));
    v = join->join == JOIN_RIGHT ? *b : *a;
    v.table = str_of("", 0);
    if (join->join == JOIN_FULL &&
        !arena_printf(t->arena, &v.emit, "coalesce(%.*s,%.*s)", STR_ARG(a->emit), STR_ARG(b->emit)))
        return type_nomem(t);
    if (!type_common(a->type, b->type, &v.type))
        return type_nomem(t);
    a->hidden = b->hidden = true;
    return add_visible(t, merged, &v);
}

static enum code natural_names(struct typer *t, struct from *join, struct visible *left,
                               struct visible *right)
{
    size_t count, room = 0;

    for (const struct visible *v = left; v != NULL; v = v->next)
        room++;
    join->using_names.items = arena_array(t->arena, room, sizeof *join->using_names.items);
    if (join->using_names.items == NULL)
        return type_nomem(t);
    for (const struct visible *v = left; v != NULL; v = v->next) {
        if (!v->hidden && find_one(right, v->name, &count) != NULL)
            join->using_names.items[join->using_names.count++] = v->name;
    }
    return OK;
}

static enum code from_item(struct typer *t, struct scope *scope, struct from *f, struct visible ***tail);

/* ON sees both sides and what is outside, not the other items of FROM. */
static enum code join_condition(struct typer *t, struct scope *scope, struct from *join,
                                struct visible *columns)
{
    struct scope inner = *scope;
    enum code code;

    inner.columns = columns;
    inner.no_aggregates = "JOIN conditions";
    code = type_condition(t, &inner, &join->on, "JOIN/ON");
    return code;
}

static enum code from_join(struct typer *t, struct scope *scope, struct from *join, struct visible ***tail)
{
    struct visible *lists[2] = { NULL, NULL }, *merged = NULL;
    struct visible **left = &lists[0], **right = &lists[1], **merge = &merged;

    TRY(from_item(t, scope, join->left, &left));
    TRY(from_item(t, scope, join->right, &right));
    if (join->natural)
        TRY(natural_names(t, join, lists[0], lists[1]));
    for (size_t i = 0; i < join->using_names.count; i++)
        TRY(merge_column(t, join, join->using_names.items[i], lists, &merge));
    /* merged columns first, then the left side's, then the right side's */
    **tail = merged;
    *tail = merged != NULL ? merge : *tail;
    **tail = lists[0];
    *tail = lists[0] != NULL ? left : *tail;
    **tail = lists[1];
    *tail = lists[1] != NULL ? right : *tail;
    if (join->on != NULL && join->using_names.count == 0) {
        struct visible *all = lists[0] != NULL ? lists[0] : lists[1];
        TRY(join_condition(t, scope, join, merged != NULL ? merged : all));
    }
    return OK;
}

static enum code from_item(struct typer *t, struct scope *scope, struct from *f, struct visible ***tail)
{
    return f->kind == FROM_JOIN ? from_join(t, scope, f, tail) : from_relation(t, scope, f, tail);
}

enum code type_from(struct typer *t, struct scope *scope, struct from *list)
{
    struct visible **tail = &scope->columns;

    for (; list != NULL; list = list->next)
        TRY(from_item(t, scope, list, &tail));
    return OK;
}

/* ---- naming columns ---- */

/* ---- * ---- */

static enum code expand_one(struct typer *t, const struct scope *scope, const struct visible *v,
                            struct target ***tail)
{
    struct target *target = ARENA_NEW(t->arena, struct target);
    struct expr *e = column_expr(t, v);

    if (target == NULL || e == NULL)
        return type_nomem(t);
    e->scope = scope->id;
    e->table = v->table;
    target->expr = e;
    target->name = v->name;
    **tail = target;
    *tail = &target->next;
    return OK;
}

enum code type_expand(struct typer *t, struct scope *scope, struct target **list)
{
    struct target *in = *list, **tail = list;

    for (; in != NULL; in = in->next) {
        if (in->expr->kind != EXPR_STAR) {
            *tail = in;
            tail = &in->next;
            continue;
        }
        struct str table = in->expr->table;
        if (table.n > 0 && !type_has_table(scope, table))
            return sql_fail(t->e, E_UNDEF_TABLE, in->expr->at, "missing FROM-clause entry for table \"%.*s\"",
                            STR_ARG(table));
        if (table.n == 0 && scope->columns == NULL)
            return sql_fail(t->e, E_SYNTAX, in->expr->at, "SELECT * with no tables specified is not valid");
        *tail = NULL;
        for (const struct visible *v = scope->columns; v != NULL; v = v->next)
            if (table.n > 0 ? str_equal(v->table, table) : !v->hidden)
                TRY(expand_one(t, scope, v, &tail));
        *tail = NULL;
    }
    return OK;
}
