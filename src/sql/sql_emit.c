/*
 * A typed tree as SQLite's SQL. Every name is ours by now (t1, w1, c1, and quoted columns of views), and
 * every value a literal, so nothing a client wrote reaches SQLite unread.
 */
#include "sql/sql_emit.h"

#include "base/buf.h"
#include "base/check.h"

static void emit_expr(struct buf *out, const struct expr *e);
static void emit_select(struct buf *out, const struct select *s);

/* numeric and inet are kept as text: comparing them needs their collation. */
static void emit_collation(struct buf *out, enum pg_type type)
{
    if (type == PG_NUMERIC)
        buf_append_c(out, " COLLATE pgseal_numeric");
    else if (type == PG_INET)
        buf_append_c(out, " COLLATE pgseal_inet");
}

static void emit_text(struct buf *out, struct str text)
{
    buf_append_byte(out, '\'');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'')
            buf_append_byte(out, '\'');
        buf_append_byte(out, (uint8_t)text.p[i]);
    }
    buf_append_byte(out, '\'');
}

static void emit_const(struct buf *out, const struct datum *value)
{
    switch (value->kind) {
    case DATUM_NULL:
        buf_append_c(out, "NULL");
        return;
    case DATUM_INT: /* the smallest one has no literal */
        if (value->i == INT64_MIN)
            buf_append_c(out, "(-9223372036854775807-1)");
        else
            buf_printf(out, value->i < 0 ? "(%lld)" : "%lld", (long long)value->i);
        return;
    case DATUM_REAL:
        buf_printf(out, "pgseal_real('%.17g')", value->real);
        return;
    case DATUM_TEXT:
        emit_text(out, value->text);
        return;
    }
    UNREACHABLE();
}

static void emit_list(struct buf *out, const struct expr *first, const char *between)
{
    for (const struct expr *e = first; e != NULL; e = e->next) {
        if (e != first)
            buf_append_c(out, between);
        emit_expr(out, e);
    }
}

/* A value as an operand of a comparison. */
static void emit_operand(struct buf *out, const struct expr *e)
{
    emit_expr(out, e);
    emit_collation(out, e->type);
}

static void emit_direction(struct buf *out, const struct order *o)
{
    buf_printf(out, "%s NULLS %s", o->desc ? " DESC" : "", o->nulls_first ? "FIRST" : "LAST");
}

static void emit_window(struct buf *out, const struct window *w)
{
    buf_append_c(out, " OVER (");
    for (const struct expr *e = w->partition; e != NULL; e = e->next) {
        buf_append_c(out, e == w->partition ? "PARTITION BY " : ",");
        emit_operand(out, e);
    }
    for (const struct order *o = w->order; o != NULL; o = o->next) {
        buf_append_c(out, o == w->order ? " ORDER BY " : ",");
        emit_operand(out, o->expr);
        emit_direction(out, o);
    }
    buf_append_byte(out, ')');
}

static void emit_call(struct buf *out, const struct expr *e)
{
    bool ordered = str_is(e->emit, "min") || str_is(e->emit, "max") || str_is(e->emit, "nullif") ||
                   e->distinct;

    buf_append_str(out, e->emit);
    buf_append_byte(out, '(');
    if (e->distinct)
        buf_append_c(out, "DISTINCT ");
    if (e->star)
        buf_append_byte(out, '*');
    else if (ordered && e->args != NULL) {
        emit_operand(out, e->args);
        if (e->args->next != NULL) {
            buf_append_byte(out, ',');
            emit_list(out, e->args->next, ",");
        }
    } else {
        emit_list(out, e->args, ",");
    }
    buf_append_byte(out, ')');
    if (e->filter != NULL) {
        buf_append_c(out, " FILTER (WHERE ");
        emit_expr(out, e->filter);
        buf_append_byte(out, ')');
    }
    if (e->over != NULL)
        emit_window(out, e->over);
}

static void emit_is(struct buf *out, const struct expr *e)
{
    static const char *const tests[] = { "NULL", "1", "0", "NULL" };

    buf_append_byte(out, '(');
    emit_expr(out, e->args);
    buf_printf(out, " IS %s%s)", e->negated ? "NOT " : "", tests[e->test]);
}

static void emit_in(struct buf *out, const struct expr *e)
{
    buf_append_byte(out, '(');
    emit_operand(out, e->args);
    buf_append_c(out, e->negated ? " NOT IN (" : " IN (");
    if (e->select != NULL)
        emit_select(out, e->select);
    else
        emit_list(out, e->args->next, ",");
    buf_append_c(out, "))");
}

static void emit_between(struct buf *out, const struct expr *e)
{
    buf_append_byte(out, '(');
    emit_operand(out, e->args);
    buf_append_c(out, e->negated ? " NOT BETWEEN " : " BETWEEN ");
    emit_list(out, e->args->next, " AND ");
    buf_append_byte(out, ')');
}

static void emit_case(struct buf *out, const struct expr *e)
{
    const struct expr *when = e->args;

    buf_append_c(out, "CASE ");
    if (e->has_operand) {
        emit_operand(out, when);
        when = when->next;
    }
    for (; when != NULL; when = when->next->next) {
        buf_append_c(out, " WHEN ");
        emit_expr(out, when);
        buf_append_c(out, " THEN ");
        emit_expr(out, when->next);
    }
    if (e->otherwise != NULL) {
        buf_append_c(out, " ELSE ");
        emit_expr(out, e->otherwise);
    }
    buf_append_c(out, " END");
}

/* A subquery as a value: pgseal_single() refuses a second row. */
static void emit_subquery(struct buf *out, const struct select *s)
{
    buf_append_c(out, "(SELECT pgseal_single(c1) FROM (");
    emit_select(out, s);
    buf_append_c(out, "))");
}

/* No rows are an empty array, not NULL. */
static void emit_array(struct buf *out, const struct select *s)
{
    buf_append_c(out, "(SELECT coalesce(pgseal_array_agg(c1),'{}') FROM (");
    emit_select(out, s);
    buf_append_c(out, "))");
}

static void emit_group(struct buf *out, const struct expr *e, const char *between)
{
    buf_append_byte(out, '(');
    emit_list(out, e->args, between);
    buf_append_byte(out, ')');
}

static void emit_expr(struct buf *out, const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CONST:
        emit_const(out, &e->value);
        return;
    case EXPR_PARAM:
        buf_printf(out, "?%u", e->param);
        return;
    case EXPR_COLUMN:
        buf_append_str(out, e->emit);
        return;
    case EXPR_CALL:
        emit_call(out, e);
        return;
    case EXPR_INFIX:
        buf_append_byte(out, '(');
        emit_operand(out, e->args);
        buf_printf(out, " %.*s ", STR_ARG(e->emit));
        emit_expr(out, e->args->next);
        buf_append_byte(out, ')');
        return;
    case EXPR_AND:
        emit_group(out, e, " AND ");
        return;
    case EXPR_OR:
        emit_group(out, e, " OR ");
        return;
    case EXPR_NOT:
        buf_append_c(out, "(NOT ");
        emit_expr(out, e->args);
        buf_append_byte(out, ')');
        return;
    case EXPR_IS:
        emit_is(out, e);
        return;
    case EXPR_BETWEEN:
        emit_between(out, e);
        return;
    case EXPR_IN:
        emit_in(out, e);
        return;
    case EXPR_CASE:
        emit_case(out, e);
        return;
    case EXPR_CAST:
        emit_expr(out, e->args);
        return;
    case EXPR_SELECT:
        emit_subquery(out, e->select);
        return;
    case EXPR_EXISTS:
        buf_append_c(out, "EXISTS (");
        emit_select(out, e->select);
        buf_append_byte(out, ')');
        return;
    case EXPR_ARRAY:
        emit_array(out, e->select);
        return;
    case EXPR_STAR:
    case EXPR_ANY:
        break; /* typing has replaced them */
    }
    UNREACHABLE();
}

/* ---- FROM ---- */

static void emit_from(struct buf *out, const struct from *f);

/* Where a join would otherwise be taken apart. */
static void emit_from_unit(struct buf *out, const struct from *f)
{
    bool join = f->kind == FROM_JOIN;

    buf_append_c(out, join ? "(" : "");
    emit_from(out, f);
    buf_append_c(out, join ? ")" : "");
}

static void emit_join(struct buf *out, const struct from *join)
{
    static const char *const words[] = { " CROSS JOIN ", " JOIN ", " LEFT JOIN ", " RIGHT JOIN ",
                                         " FULL JOIN " };

    emit_from(out, join->left);
    buf_append_c(out, words[join->join]);
    emit_from_unit(out, join->right);
    if (join->on != NULL) {
        buf_append_c(out, " ON ");
        emit_expr(out, join->on);
    }
}

static void emit_from(struct buf *out, const struct from *f)
{
    if (f->kind == FROM_JOIN) {
        emit_join(out, f);
        return;
    }
    if (f->kind == FROM_SELECT) {
        buf_append_byte(out, '(');
        emit_select(out, f->select);
        buf_printf(out, ") AS t%u", f->id);
    } else if (f->kind == FROM_CALL) {
        emit_call(out, f->call);
        buf_printf(out, " AS t%u", f->id);
    } else if (f->with != NULL) {
        buf_printf(out, "w%u AS t%u", f->with->id, f->id);
    } else {
        buf_printf(out, "%s AS t%u", f->relation->name, f->id);
    }
}

/* ---- queries ---- */

static void emit_plain(struct buf *out, const struct select *s)
{
    size_t i = 0;

    buf_append_c(out, s->distinct ? "SELECT DISTINCT " : "SELECT ");
    if (s->targets == NULL)
        buf_append_c(out, s->having != NULL && s->group == NULL ? "count(*) AS c0" : "NULL AS c0");
    for (const struct target *target = s->targets; target != NULL; target = target->next) {
        buf_append_c(out, i > 0 ? "," : "");
        bool marks = i == 0 && s->having != NULL &&
                     s->group == NULL; /* SQLite wants to see an aggregate here */
        buf_append_c(out, marks ? "CASE WHEN count(*)>=0 THEN " : "");
        emit_expr(out, target->expr);
        buf_append_c(out, marks ? " END" : "");
        if (s->distinct)
            emit_collation(out, target->expr->type);
        buf_printf(out, " AS c%zu", ++i);
    }
    for (const struct from *f = s->from; f != NULL; f = f->next) {
        buf_append_c(out, f == s->from ? " FROM " : ",");
        if (f == s->from)
            emit_from(out, f);
        else
            emit_from_unit(out, f);
    }
    if (s->where != NULL) {
        buf_append_c(out, " WHERE ");
        emit_expr(out, s->where);
    }
    for (const struct expr *g = s->group; g != NULL; g = g->next) {
        buf_append_c(out, g == s->group ? " GROUP BY " : ",");
        if (g->kind == EXPR_CONST) /* not a position any more */
            buf_append_c(out, "0+");
        emit_operand(out, g);
    }
    if (s->having != NULL) {
        buf_append_c(out, " HAVING ");
        emit_expr(out, s->having);
    }
}

static void emit_values(struct buf *out, const struct select *s)
{
    for (const struct values_row *row = s->rows; row != NULL; row = row->next) {
        size_t i = 0;
        buf_append_c(out, row == s->rows ? "SELECT " : " UNION ALL SELECT ");
        for (const struct expr *e = row->items; e != NULL; e = e->next) {
            buf_append_c(out, i > 0 ? "," : "");
            emit_expr(out, e);
            buf_printf(out, " AS c%zu", ++i);
        }
    }
}

/* One side of a set operation. SQLite knows no parentheses there, so the side becomes a FROM. */
static void emit_side(struct buf *out, const struct select *s)
{
    if (s->kind == SELECT_PLAIN && s->with == NULL && s->order == NULL && s->limit == NULL &&
        s->offset == NULL) {
        emit_select(out, s);
        return;
    }
    buf_append_c(out, "SELECT * FROM (");
    emit_select(out, s);
    buf_append_byte(out, ')');
}

static void emit_set(struct buf *out, const struct select *s)
{
    static const char *const words[] = { " UNION ", " INTERSECT ", " EXCEPT " };

    emit_side(out, s->left);
    buf_append_c(out, s->all ? " UNION ALL " : words[s->op]);
    emit_side(out, s->right);
}

static void emit_with(struct buf *out, const struct select *s)
{
    for (const struct with *w = s->with; w != NULL; w = w->next) {
        buf_printf(out, "%sw%u(", w == s->with ? (s->recursive ? "WITH RECURSIVE " : "WITH ") : ",", w->id);
        for (size_t i = 0; i < w->out_count; i++)
            buf_printf(out, "%sc%zu", i > 0 ? "," : "", i + 1);
        if (w->out_count == 0)
            buf_append_c(out, "c0");
        buf_append_c(out, ") AS (");
        emit_select(out, w->select);
        buf_append_byte(out, ')');
    }
    if (s->with != NULL)
        buf_append_byte(out, ' ');
}

static void emit_order(struct buf *out, const struct select *s)
{
    for (const struct order *o = s->order; o != NULL; o = o->next) {
        buf_append_c(out, o == s->order ? " ORDER BY " : ",");
        if (o->position > 0) {
            buf_printf(out, "%zu", o->position);
            emit_collation(out, s->columns[o->position - 1].type);
        } else {
            if (o->expr->kind == EXPR_CONST)
                buf_append_c(out, "0+");
            emit_operand(out, o->expr);
        }
        emit_direction(out, o);
    }
}

static void emit_select(struct buf *out, const struct select *s)
{
    emit_with(out, s);
    switch (s->kind) {
    case SELECT_PLAIN:
        emit_plain(out, s);
        break;
    case SELECT_VALUES:
        emit_values(out, s);
        break;
    case SELECT_SET:
        emit_set(out, s);
        break;
    }
    emit_order(out, s);
    if (s->limit != NULL || s->offset != NULL) {
        buf_append_c(out, " LIMIT pgseal_limit(");
        if (s->limit != NULL)
            emit_expr(out, s->limit);
        else
            buf_append_c(out, "NULL");
        buf_append_c(out, ")");
    }
    if (s->offset != NULL) {
        buf_append_c(out, " OFFSET pgseal_offset(");
        emit_expr(out, s->offset);
        buf_append_c(out, ")");
    }
}

void sql_emit(struct buf *out, const struct select *s)
{
    emit_select(out, s);
}
