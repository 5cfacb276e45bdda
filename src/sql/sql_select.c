/* SELECT, VALUES, set operations, FROM. [src: PostgreSQL 18, "SELECT"] */
#include "sql/sql_select.h"

#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/sql_cursor.h"
#include "sql/sql_expr.h"
#include "sql/sql_node.h"
#include "sql/sql_primary.h"

/* ---- the select list ---- */

/* How sure a name is: none, one that a cast's type replaces, or a good one [src: FigureColnameInternal]. */
enum name_strength { NAME_NONE, NAME_WEAK, NAME_GOOD };

static enum name_strength figure_name(const struct expr *e, struct str *out)
{
    enum pg_type type;

    switch (e->kind) {
    case EXPR_COLUMN:
    case EXPR_CALL:
        if (str_is(e->name, "pgseal_array_get"))
            return figure_name(e->args, out);
        *out = e->name;
        return NAME_GOOD;
    case EXPR_CAST:
        if (figure_name(e->args, out) == NAME_GOOD)
            return NAME_GOOD;
        type = pg_type_def(e->type)->category == 'A' ? pg_type_def(e->type)->element : e->type;
        *out = str_c(pg_type_def(type)->name);
        return NAME_WEAK;
    case EXPR_CASE:
        if (e->otherwise != NULL && figure_name(e->otherwise, out) == NAME_GOOD)
            return NAME_GOOD;
        *out = STR("case");
        return NAME_WEAK;
    case EXPR_SELECT:
        if (e->select->kind == SELECT_PLAIN && e->select->targets != NULL)
            *out = e->select->targets->name;
        else
            *out = e->select->kind == SELECT_VALUES ? STR("column1") : STR("?column?");
        return NAME_GOOD;
    case EXPR_EXISTS:
        *out = STR("exists");
        return NAME_GOOD;
    case EXPR_ARRAY:
        *out = STR("array");
        return NAME_GOOD;
    case EXPR_CONST:
    case EXPR_PARAM:
    case EXPR_STAR:
    case EXPR_INFIX:
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS:
    case EXPR_BETWEEN:
    case EXPR_IN:
    case EXPR_ANY:
        break;
    }
    *out = STR("?column?");
    return NAME_NONE;
}

/* The name PostgreSQL gives a column without AS. */
static struct str sql_column_name(const struct expr *e)
{
    struct str name;

    (void)figure_name(e, &name);
    return name;
}

static struct target *target(struct parser *p)
{
    struct target *t = SQL_NEW(p, struct target);
    uint32_t at = sql_peek(p, 0)->at;

    if (sql_take_operator(p, "*")) {
        t->expr = sql_node(p, EXPR_STAR, at);
        return t;
    }
    t->expr = sql_expr(p);
    t->named = true;
    if (sql_take_word(p, "as"))
        t->name = sql_want_label(p);
    else if (sql_is_alias(p, 0))
        t->name = sql_want_label(p);
    else
        t->named = false;
    if (!t->named && !p->failed)
        t->name = sql_column_name(t->expr);
    return t;
}

static bool at_clause(const struct parser *p)
{
    static const char *const words[] = { "from",  "where", "group",  "having", "union", "intersect", "except",
                                         "order", "limit", "offset", "fetch",  "for",   "window",    "into" };
    const struct token *t = sql_peek(p, 0);

    if (t->kind == TOKEN_END || sql_is_punct(p, 0, ";") || sql_is_punct(p, 0, ")"))
        return true;
    return t->kind == TOKEN_WORD && str_is_one_of(t->text, words, COUNT_OF(words));
}

static struct target *targets(struct parser *p)
{
    struct target *first = NULL, **tail = &first;

    if (at_clause(p)) /* SELECT without columns */
        return NULL;
    do {
        *tail = target(p);
        if (p->failed)
            return NULL;
        tail = &(*tail)->next;
    } while (sql_take_punct(p, ","));
    return first;
}

/* ---- FROM ---- */

static struct from *from_item(struct parser *p);

static void alias(struct parser *p, struct from *f)
{
    if (sql_take_word(p, "as") || sql_is_alias(p, 0))
        f->alias = sql_want_name(p);
    else
        return;
    if (sql_take_punct(p, "(")) {
        if (sql_peek(p, 0)->kind == TOKEN_WORD && !sql_is_punct(p, 1, ",") && !sql_is_punct(p, 1, ")"))
            sql_unsupported(p, sql_peek(p, 0)->at, "a column definition list is");
        else
            f->columns = sql_names(p);
    }
}

static void relation(struct parser *p, struct from *f)
{
    f->name = sql_want_name(p);
    if (sql_take_punct(p, ".")) {
        f->schema = f->name;
        f->name = sql_want_label(p);
        if (sql_take_punct(p, ".")) { /* database.schema.table */
            f->schema = f->name;
            f->name = sql_want_label(p);
        }
    }
    if (!sql_is_punct(p, 0, "(")) {
        (void)sql_take_operator(p, "*");
        return;
    }
    sql_next(p);
    f->kind = FROM_CALL;
    f->call = sql_call1(p, f->at, "", NULL);
    f->call->name = f->name;
    size_t count;
    if (!sql_is_punct(p, 0, ")"))
        sql_add_arg(f->call, sql_expr_list(p, &count));
    sql_want_punct(p, ")");
    if (sql_is_word(p, 0, "with") && sql_is_word(p, 1, "ordinality"))
        sql_unsupported(p, sql_peek(p, 0)->at, "WITH ORDINALITY is");
}

static struct from *from_primary(struct parser *p)
{
    struct from *f = SQL_NEW(p, struct from);

    f->at = sql_peek(p, 0)->at;
    if (sql_is_word(p, 0, "lateral"))
        sql_unsupported(p, f->at, "LATERAL is");
    (void)sql_take_word(p, "only");
    if (!sql_is_punct(p, 0, "(")) {
        relation(p, f);
    } else if (sql_at_select(p, 1)) {
        sql_next(p);
        f->kind = FROM_SELECT;
        f->select = sql_select(p);
        sql_want_punct(p, ")");
    } else {
        sql_next(p);
        f = from_item(p);
        sql_want_punct(p, ")");
        if (f->kind != FROM_JOIN && !p->failed)
            sql_syntax(p);
        if (sql_is_word(p, 0, "as") || sql_is_alias(p, 0))
            sql_unsupported(p, sql_peek(p, 0)->at, "an alias for a join is");
        return f;
    }
    alias(p, f);
    if (sql_is_word(p, 0, "tablesample"))
        sql_unsupported(p, sql_peek(p, 0)->at, "TABLESAMPLE is");
    return f;
}

/* The words of a join; false when there is none. */
static bool join_words(struct parser *p, struct from *join)
{
    size_t from = p->i;

    join->join = JOIN_INNER;
    if (sql_take_word(p, "cross"))
        join->join = JOIN_CROSS;
    else if (sql_take_word(p, "natural"))
        join->natural = true;
    if (sql_take_word(p, "left"))
        join->join = JOIN_LEFT;
    else if (sql_take_word(p, "right"))
        join->join = JOIN_RIGHT;
    else if (sql_take_word(p, "full"))
        join->join = JOIN_FULL;
    else
        (void)sql_take_word(p, "inner");
    (void)sql_take_word(p, "outer");
    if (sql_take_word(p, "join"))
        return true;
    if (p->i != from)
        sql_syntax(p);
    return false;
}

static struct from *from_item(struct parser *p)
{
    struct from *left;
    unsigned depth = p->depth;

    if (!sql_enter(p))
        return SQL_NEW(p, struct from);
    left = from_primary(p);
    for (;;) {
        struct from *join = SQL_NEW(p, struct from);
        join->kind = FROM_JOIN;
        join->at = sql_peek(p, 0)->at;
        join->left = left;
        if (!join_words(p, join) || !sql_enter(p))
            break;
        join->right = from_primary(p);
        if (join->join == JOIN_CROSS || join->natural) {
            left = join;
            continue;
        }
        if (sql_take_word(p, "using")) {
            sql_want_punct(p, "(");
            join->using_names = sql_names(p);
            if (sql_is_word(p, 0, "as"))
                sql_unsupported(p, sql_peek(p, 0)->at, "an alias for USING is");
        } else {
            sql_want_word(p, "on");
            join->on = sql_expr(p);
        }
        left = join;
    }
    p->depth = depth;
    return left;
}

static struct from *from_list(struct parser *p)
{
    struct from *first = NULL, **tail = &first;

    do {
        *tail = from_item(p);
        if (p->failed)
            return NULL;
        tail = &(*tail)->next;
    } while (sql_take_punct(p, ","));
    return first;
}

/* ---- bodies ---- */

static void plain_body(struct parser *p, struct select *s)
{
    size_t count;

    if (sql_take_word(p, "distinct")) {
        s->distinct = true;
        if (sql_is_word(p, 0, "on"))
            sql_unsupported(p, sql_peek(p, 0)->at, "DISTINCT ON is");
    } else {
        (void)sql_take_word(p, "all");
    }
    s->targets = targets(p);
    if (sql_is_word(p, 0, "into"))
        sql_unsupported(p, sql_peek(p, 0)->at, "SELECT INTO is");
    if (sql_take_word(p, "from"))
        s->from = from_list(p);
    if (sql_take_word(p, "where"))
        s->where = sql_expr(p);
    if (sql_take_word(p, "group")) {
        sql_want_word(p, "by");
        if (sql_is_word(p, 0, "grouping") || sql_is_word(p, 0, "rollup") || sql_is_word(p, 0, "cube"))
            sql_unsupported(p, sql_peek(p, 0)->at, "a grouping set is");
        s->group = sql_expr_list(p, &count);
        s->grouped = true;
    }
    if (sql_take_word(p, "having")) {
        s->having = sql_expr(p);
        s->grouped = true;
    }
    if (sql_is_word(p, 0, "window"))
        sql_unsupported(p, sql_peek(p, 0)->at, "WINDOW is");
}

static void values_body(struct parser *p, struct select *s)
{
    struct values_row **tail = &s->rows;

    s->kind = SELECT_VALUES;
    do {
        struct values_row *row = SQL_NEW(p, struct values_row);
        sql_want_punct(p, "(");
        uint32_t at = sql_peek(p, 0)->at;
        row->items = sql_expr_list(p, &row->count);
        sql_want_punct(p, ")");
        if (!p->failed && s->rows != NULL && row->count != s->rows->count) {
            (void)sql_fail(p->e, E_SYNTAX, at, "VALUES lists must all be the same length");
            p->failed = true;
        }
        if (p->failed)
            return;
        *tail = row;
        tail = &row->next;
    } while (sql_take_punct(p, ","));
}

static struct select *set_operand(struct parser *p)
{
    struct select *s;
    uint32_t at = sql_peek(p, 0)->at;

    if (sql_take_punct(p, "(")) {
        s = sql_select(p);
        sql_want_punct(p, ")");
        return s;
    }
    s = SQL_NEW(p, struct select);
    s->at = at;
    if (sql_take_word(p, "values")) {
        values_body(p, s);
    } else if (sql_take_word(p, "table")) {
        s->targets = SQL_NEW(p, struct target);
        s->targets->expr = sql_node(p, EXPR_STAR, at);
        s->from = SQL_NEW(p, struct from);
        s->from->at = sql_peek(p, 0)->at;
        relation(p, s->from);
    } else {
        sql_want_word(p, "select");
        plain_body(p, s);
    }
    return s;
}

static struct select *set_node(struct parser *p, enum set_op op, struct select *left)
{
    struct select *s = SQL_NEW(p, struct select);

    s->kind = SELECT_SET;
    s->op = op;
    s->at = left->at;
    s->left = left;
    s->all = sql_take_word(p, "all");
    if (!s->all)
        (void)sql_take_word(p, "distinct");
    return s;
}

/* INTERSECT binds more tightly than UNION and EXCEPT. */
static struct select *intersections(struct parser *p)
{
    struct select *left = set_operand(p);

    while (sql_take_word(p, "intersect") && sql_enter(p)) {
        left = set_node(p, SET_INTERSECT, left);
        if (left->all)
            sql_unsupported(p, left->at, "INTERSECT ALL is");
        left->right = set_operand(p);
    }
    return left;
}

static struct select *unions(struct parser *p)
{
    struct select *left = intersections(p);

    while ((sql_is_word(p, 0, "union") || sql_is_word(p, 0, "except")) && sql_enter(p)) {
        bool is_union = sql_is_word(p, 0, "union");
        sql_next(p);
        left = set_node(p, is_union ? SET_UNION : SET_EXCEPT, left);
        if (left->all && !is_union)
            sql_unsupported(p, left->at, "EXCEPT ALL is");
        left->right = intersections(p);
    }
    return left;
}

/* ---- WITH, ORDER BY, LIMIT ---- */

static void with_list(struct parser *p, struct select *holder)
{
    struct with **tail = &holder->with;

    holder->recursive = sql_take_word(p, "recursive");
    do {
        struct with *w = SQL_NEW(p, struct with);
        w->at = sql_peek(p, 0)->at;
        w->name = sql_want_name(p);
        if (sql_take_punct(p, "("))
            w->columns = sql_names(p);
        sql_want_word(p, "as");
        (void)sql_take_word(p, "not");
        (void)sql_take_word(p, "materialized");
        sql_want_punct(p, "(");
        w->select = sql_select(p);
        sql_want_punct(p, ")");
        if (p->failed)
            return;
        *tail = w;
        tail = &w->next;
    } while (sql_take_punct(p, ","));
}

static void fetch_first(struct parser *p, struct select *s)
{
    if (!sql_take_word(p, "first"))
        sql_want_word(p, "next");
    if (sql_is_word(p, 0, "row") || sql_is_word(p, 0, "rows")) {
        s->limit = sql_node(p, EXPR_CONST, sql_peek(p, 0)->at);
        s->limit->type = PG_INT8;
        s->limit->value = datum_int(1);
    } else {
        s->limit = sql_primary(p);
    }
    if (!sql_take_word(p, "row"))
        sql_want_word(p, "rows");
    if (sql_is_word(p, 0, "with"))
        sql_unsupported(p, sql_peek(p, 0)->at, "WITH TIES is");
    sql_want_word(p, "only");
}

static void limits(struct parser *p, struct select *s)
{
    for (;;) {
        if (sql_take_word(p, "limit")) {
            if (!sql_take_word(p, "all"))
                s->limit = sql_expr(p);
        } else if (sql_take_word(p, "offset")) {
            s->offset = sql_expr(p);
            if (!sql_take_word(p, "rows"))
                (void)sql_take_word(p, "row");
        } else if (sql_take_word(p, "fetch")) {
            fetch_first(p, s);
        } else {
            break;
        }
    }
    if (sql_is_word(p, 0, "for"))
        sql_unsupported(p, sql_peek(p, 0)->at, "a locking clause is");
}

/* A parenthesised select may have got its own ORDER BY, LIMIT or WITH already: then it stays a unit. */
static struct select *wrapped(struct parser *p, struct select *inner)
{
    struct select *s;

    if (inner->order == NULL && inner->limit == NULL && inner->offset == NULL && inner->with == NULL)
        return inner;
    s = SQL_NEW(p, struct select);
    s->at = inner->at;
    s->targets = SQL_NEW(p, struct target);
    s->targets->expr = sql_node(p, EXPR_STAR, inner->at);
    s->from = SQL_NEW(p, struct from);
    s->from->kind = FROM_SELECT;
    s->from->at = inner->at;
    s->from->select = inner;
    return s;
}

struct select *sql_select(struct parser *p)
{
    struct select holder = { 0 }, *s;
    unsigned depth = p->depth;

    if (!sql_enter(p))
        return SQL_NEW(p, struct select);
    if (sql_take_word(p, "with"))
        with_list(p, &holder);
    s = unions(p);
    if (holder.with != NULL) {
        s = wrapped(p, s);
        s->with = holder.with;
        s->recursive = holder.recursive;
    }
    if (sql_is_word(p, 0, "order") || sql_is_word(p, 0, "limit") || sql_is_word(p, 0, "offset") ||
        sql_is_word(p, 0, "fetch")) {
        if (holder.with == NULL)
            s = wrapped(p, s);
        if (sql_take_word(p, "order")) {
            sql_want_word(p, "by");
            s->order = sql_order_list(p);
        }
    }
    limits(p, s);
    p->depth = depth;
    return s;
}
