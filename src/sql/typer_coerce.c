/* Conversions between types. [src: PostgreSQL 18, "UNION, CASE, and Related Constructs"; pg_cast.dat] */
#include "sql/typer_coerce.h"

#include "base/arena.h"
#include "pgtypes/type.h"
#include "sql/typer_impl.h"

struct expr **type_target(struct select *s, size_t i)
{
    struct target *target = s->targets;

    while (i-- > 0)
        target = target->next;
    return &target->expr;
}

enum code type_nomem(struct typer *t)
{
    return sql_fail(t->e, E_NOMEM, 0, "out of memory");
}

void type_replace(struct expr **slot, struct expr *new_expr)
{
    struct expr *old = *slot;

    new_expr->next = old->next;
    old->next = NULL;
    *slot = new_expr;
}

struct expr *type_const_int(struct typer *t, int64_t v)
{
    struct expr *e = ARENA_NEW(t->arena, struct expr);

    if (e == NULL)
        return NULL;
    e->kind = EXPR_CONST;
    e->type = PG_INT8;
    e->value = datum_int(v);
    return e;
}

static char category(enum pg_type type)
{
    return pg_type_def(type)->category;
}

/* The wider a number's type, the higher. 0: not a number that others become. */
static int number_rank(enum pg_type type)
{
    return type == PG_INT2      ? 1
           : type == PG_INT4    ? 2
           : type == PG_INT8    ? 3
           : type == PG_NUMERIC ? 4
           : type == PG_FLOAT8  ? 5
                                : 0;
}

static int time_rank(enum pg_type type)
{
    return type == PG_DATE ? 1 : type == PG_TIMESTAMP ? 2 : type == PG_TIMESTAMPTZ ? 3 : 0;
}

static bool is_string(enum pg_type type)
{
    return category(type) == 'S' || type == PG_CHAR;
}

static bool is_integer(enum pg_type type)
{
    return type == PG_INT2 || type == PG_INT4 || type == PG_INT8;
}

bool type_common(enum pg_type a, enum pg_type b, enum pg_type *out)
{
    if (a == b || b == PG_UNKNOWN)
        *out = a;
    else if (a == PG_UNKNOWN)
        *out = b;
    else if (is_string(a) && is_string(b))
        *out = PG_TEXT;
    else if (number_rank(a) && number_rank(b))
        *out = number_rank(a) > number_rank(b) ? a : b;
    else if (time_rank(a) && time_rank(b))
        *out = time_rank(a) > time_rank(b) ? a : b;
    else if (pg_is_oid(a) && pg_is_oid(b))
        *out = PG_OID;
    else if ((pg_is_oid(a) && is_integer(b)) || (a == PG_XID && b == PG_INT4))
        *out = a;
    else if ((pg_is_oid(b) && is_integer(a)) || (b == PG_XID && a == PG_INT4))
        *out = b;
    else
        return false;
    return true;
}

bool type_implicit(enum pg_type from, enum pg_type to)
{
    enum pg_type common;

    if (from == to || from == PG_UNKNOWN)
        return true;
    if (is_string(from) && is_string(to))
        return true;
    return type_common(from, to, &common) && common == to;
}

/* True when both are kept in the same way, so that nothing needs to be done to a value. */
static bool same_storage(enum pg_type from, enum pg_type to)
{
    if (is_string(from) && (to == PG_TEXT || to == PG_VARCHAR))
        return true;
    if (is_integer(from) && (is_integer(to) || to == PG_OID) &&
        pg_type_def(to)->length >= pg_type_def(from)->length)
        return is_integer(to);
    if (pg_is_oid(from) && (to == PG_INT8 || pg_is_oid(to)))
        return true;
    if ((from == PG_TIMESTAMP && to == PG_TIMESTAMPTZ) || (from == PG_TIMESTAMPTZ && to == PG_TIMESTAMP))
        return true;
    return category(from) == 'A' && to == PG_TEXTS;
}

static bool castable(enum pg_type from, enum pg_type to)
{
    char a = category(from), b = category(to);

    if (is_string(from) || is_string(to) || from == PG_UNKNOWN || a == b)
        return true;
    if ((is_integer(from) && to == PG_BOOL) || (from == PG_BOOL && is_integer(to)))
        return true;
    return (from == PG_XID && is_integer(to)) || (to == PG_XID && is_integer(from));
}

/* Wrap in pgseal_cast(value, from, to). */
static enum code wrap_cast(struct typer *t, struct expr **slot, enum pg_type to)
{
    struct expr *call = ARENA_NEW(t->arena, struct expr), *from_id, *to_id, *e = *slot;

    from_id = type_const_int(t, (int64_t)e->type);
    to_id = type_const_int(t, (int64_t)to);
    if (call == NULL || from_id == NULL || to_id == NULL)
        return type_nomem(t);
    call->kind = EXPR_CALL;
    call->at = e->at;
    call->type = to;
    call->emit = STR("pgseal_cast");
    call->aggregate = false;
    type_replace(slot, call);
    call->args = e;
    e->next = from_id;
    from_id->next = to_id;
    call->arg_count = 3;
    return OK;
}

/* An untyped literal takes the type that its place asks for. */
static enum code read_literal(struct typer *t, struct expr *e, enum pg_type type)
{
    struct pg_input input = { t->arena, t->in->now_us, t->in->schema->names };
    struct err why = { 0 };

    if (e->value.kind == DATUM_TEXT && pg_text_read(&input, type, e->value.text, &e->value, &why) != OK)
        return sql_fail(t->e, why.code, e->at, "%s", err_text(&why));
    e->type = type;
    return OK;
}

enum code type_coerce(struct typer *t, struct expr **slot, enum pg_type type)
{
    struct expr *e = *slot;

    if (e->type == type || type == PG_UNKNOWN)
        return OK;
    if (e->kind == EXPR_CONST && (e->type == PG_UNKNOWN || e->value.kind == DATUM_NULL))
        return read_literal(t, e, type);
    if (e->kind == EXPR_PARAM && e->type == PG_UNKNOWN) {
        t->in->params[e->param - 1] = type;
        e->type = type;
        return OK;
    }
    if (e->kind == EXPR_SELECT && e->type == PG_UNKNOWN) {
        TRY(type_output(t, e->select, 0, type));
        e->type = type;
        return OK;
    }
    if (e->type == PG_UNKNOWN || same_storage(e->type, type)) {
        e->type = type;
        return OK;
    }
    return wrap_cast(t, slot, type);
}

enum code type_as_shown(struct typer *t, struct expr **slot)
{
    if ((*slot)->type != PG_BOOL && (*slot)->type != PG_INET)
        return type_coerce(t, slot, PG_TEXT);
    TRY(wrap_cast(t, slot, PG_UNKNOWN));
    (*slot)->type = PG_TEXT;
    return OK;
}

enum code type_cast(struct typer *t, struct expr **slot)
{
    struct expr *cast = *slot;
    enum pg_type to = cast->type;

    if (!castable(cast->args->type, to))
        return sql_fail(t->e, E_CANNOT_CAST, cast->at, "cannot cast type %s to %s",
                        pg_type_def(cast->args->type)->label, pg_type_def(to)->label);
    return type_coerce(t, &cast->args, to);
}

enum code type_unify(struct typer *t, struct expr **list, const char *what, enum pg_type *out)
{
    enum pg_type common = PG_UNKNOWN;

    for (const struct expr *e = *list; e != NULL; e = e->next)
        if (!type_common(common, e->type, &common))
            return sql_fail(t->e, E_DATATYPE, e->at, "%s types %s and %s cannot be matched", what,
                            pg_type_def(common)->label, pg_type_def(e->type)->label);
    if (common == PG_UNKNOWN)
        common = PG_TEXT;
    for (struct expr **slot = list; *slot != NULL; slot = &(*slot)->next)
        TRY(type_coerce(t, slot, common));
    *out = common;
    return OK;
}

enum code type_output(struct typer *t, struct select *s, size_t i, enum pg_type type)
{
    if (s->columns[i].type == type)
        return OK;
    if (s->kind == SELECT_PLAIN) {
        TRY(type_coerce(t, type_target(s, i), type));
    } else if (s->kind == SELECT_SET) {
        TRY(type_output(t, s->left, i, type));
        TRY(type_output(t, s->right, i, type));
    } else {
        for (struct values_row *row = s->rows; row != NULL; row = row->next) {
            struct expr **slot = &row->items;
            for (size_t k = 0; k < i; k++)
                slot = &(*slot)->next;
            TRY(type_coerce(t, slot, type));
        }
    }
    s->columns[i].type = type;
    return OK;
}

enum code type_settle(struct typer *t, struct select *s)
{
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i].type == PG_UNKNOWN)
            TRY(type_output(t, s, i, PG_TEXT));
    return OK;
}
