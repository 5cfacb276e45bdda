#include "sql/sql_primary.h"

#include "base/arena.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/sql_cursor.h"
#include "sql/sql_node.h"

/* ---- types ---- */

/* (n) or (n, m) after a type: read and not applied, except that a length is refused where it would cut. */
static void type_modifier(struct parser *p)
{
    uint32_t at = sql_peek(p, 0)->at;

    if (sql_is_punct(p, 0, "(") && sql_peek(p, 1)->kind == TOKEN_INTEGER)
        sql_unsupported(p, at, "a type modifier is");
}

/* The words of the standard that are more than one. */
static struct str long_type_name(struct parser *p, struct str name)
{
    if (str_is(name, "double") && sql_take_word(p, "precision"))
        return STR("float8");
    if ((str_is(name, "character") || str_is(name, "char")) && sql_take_word(p, "varying"))
        return STR("varchar");
    if (str_is(name, "timestamp") || str_is(name, "time")) {
        bool with = sql_is_word(p, 0, "with");
        if ((with || sql_is_word(p, 0, "without")) && sql_is_word(p, 1, "time") &&
            sql_is_word(p, 2, "zone")) {
            p->i += 3;
            return with ? STR("timestamptz") : STR("timestamp");
        }
    }
    return name;
}

enum pg_type sql_type_name(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);
    struct str name = sql_want_label(p);
    enum pg_type type = PG_UNKNOWN, array;
    bool known;

    if (sql_take_punct(p, ".")) {
        if (!p->failed && !str_is(name, "pg_catalog")) {
            (void)sql_fail(p->e, E_UNDEFINED, t->at, "schema \"%.*s\" does not exist", STR_ARG(name));
            p->failed = true;
        }
        name = sql_want_label(p);
    }
    if (t->kind == TOKEN_WORD) {
        name = str_is(name, "char") && !sql_is_word(p, 0, "varying") ? STR("bpchar")
                                                                     : long_type_name(p, name);
    }
    known = pg_type_of_name(name, &type);
    if (!p->failed && !known) {
        (void)sql_fail(p->e, E_UNDEFINED, t->at, "type \"%.*s\" does not exist", STR_ARG(name));
        p->failed = true;
    }
    type_modifier(p);
    while (sql_is_punct(p, 0, "[") && sql_is_punct(p, 1, "]")) {
        p->i += 2;
        if (!pg_type_array_of(type, &array))
            sql_unsupported(p, t->at, "this array type is");
        else
            type = array;
    }
    return type;
}

/* ---- literals ---- */

static struct expr *number(struct parser *p, const struct token *t)
{
    struct expr *e = sql_node(p, EXPR_CONST, t->at);
    int64_t v;

    sql_next(p);
    if (t->kind == TOKEN_INTEGER && str_to_i64(t->text, 0, INT64_MAX, &v)) {
        e->value = datum_int(v);
        e->type = v <= INT32_MAX ? PG_INT4 : PG_INT8;
        return e;
    }
    struct pg_input input = { p->arena, 0, NULL };
    e->type = PG_NUMERIC;
    if (!p->failed && pg_text_read(&input, PG_NUMERIC, t->text, &e->value, NULL) != OK) {
        (void)sql_fail(p->e, E_RANGE, t->at, "number is out of range");
        p->failed = true;
    }
    return e;
}

static struct expr *literal_word(struct parser *p, const struct token *t)
{
    struct expr *e;

    if (!sql_is_word(p, 0, "null") && !sql_is_word(p, 0, "true") && !sql_is_word(p, 0, "false"))
        return NULL;
    e = sql_node(p, EXPR_CONST, t->at);
    sql_next(p);
    if (!str_is(t->text, "null")) {
        e->type = PG_BOOL;
        e->value = datum_int(str_is(t->text, "true"));
    }
    return e;
}

static struct expr *param(struct parser *p, const struct token *t)
{
    struct expr *e = sql_node(p, EXPR_PARAM, t->at);

    if (!str_to_u32(t->text, 1, 65535, &e->param) && !p->failed) {
        (void)sql_fail(p->e, E_UNDEF_PARAM, t->at, "there is no parameter $%.*s", STR_ARG(t->text));
        p->failed = true;
    }
    sql_next(p);
    return e;
}

/* date '…', interval '…', timestamp with time zone '…' and the like. */
static struct expr *typed_literal(struct parser *p, const struct token *t)
{
    static const char *const words[] = { "date", "interval", "timestamp", "timestamptz", "inet",
                                         "bool", "boolean",  "text",      "oid",         "int",
                                         "int4", "int8",     "numeric",   "name" };
    struct expr *e = NULL;
    bool zone = str_is(t->text, "timestamp") && (sql_is_word(p, 1, "with") || sql_is_word(p, 1, "without"));

    if (t->kind != TOKEN_WORD || (!zone && sql_peek(p, 1)->kind != TOKEN_STRING))
        return NULL;
    if (str_is_one_of(t->text, words, COUNT_OF(words))) {
        e = sql_node(p, EXPR_CAST, t->at);
        e->type = sql_type_name(p);
        const struct token *text = sql_peek(p, 0);
        if (text->kind != TOKEN_STRING)
            sql_syntax(p);
        sql_next(p);
        sql_add_arg(e, sql_text(p, text->at, text->text));
    }
    return e;
}

/* ---- CASE, CAST and calls with words in them ---- */

static struct expr *case_expr(struct parser *p, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_CASE, at);

    if (!sql_is_word(p, 0, "when")) {
        e->has_operand = true;
        sql_add_arg(e, p->rules->expr(p));
    }
    do {
        sql_want_word(p, "when");
        sql_add_arg(e, p->rules->expr(p));
        sql_want_word(p, "then");
        sql_add_arg(e, p->rules->expr(p));
    } while (sql_is_word(p, 0, "when"));
    if (sql_take_word(p, "else"))
        e->otherwise = p->rules->expr(p);
    sql_want_word(p, "end");
    return e;
}

static struct expr *cast_call(struct parser *p, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_CAST, at);

    sql_want_punct(p, "(");
    sql_add_arg(e, p->rules->expr(p));
    sql_want_word(p, "as");
    e->type = sql_type_name(p);
    sql_want_punct(p, ")");
    return e;
}

/* extract(field FROM x) */
static struct expr *extract_call(struct parser *p, uint32_t at)
{
    const struct token *field;
    struct expr *e;

    sql_want_punct(p, "(");
    field = sql_peek(p, 0);
    if (field->kind != TOKEN_WORD && field->kind != TOKEN_STRING)
        sql_syntax(p);
    sql_next(p);
    e = sql_call1(p, at, "extract", sql_text(p, field->at, field->text));
    sql_want_word(p, "from");
    sql_add_arg(e, p->rules->expr(p));
    sql_want_punct(p, ")");
    return e;
}

/* trim([both|leading|trailing] [chars] from x), or with a comma */
static struct expr *trim_call(struct parser *p, uint32_t at)
{
    const char *function = "btrim";
    struct expr *chars = NULL, *e;

    sql_want_punct(p, "(");
    if (sql_take_word(p, "leading"))
        function = "ltrim";
    else if (sql_take_word(p, "trailing"))
        function = "rtrim";
    else
        (void)sql_take_word(p, "both");
    if (!sql_is_word(p, 0, "from"))
        chars = p->rules->expr(p);
    if (sql_take_word(p, "from")) {
        e = sql_call1(p, at, function, p->rules->expr(p));
        if (chars != NULL)
            sql_add_arg(e, chars);
    } else {
        e = sql_call1(p, at, function, chars);
        if (sql_take_punct(p, ","))
            sql_add_arg(e, p->rules->expr(p));
    }
    sql_want_punct(p, ")");
    return e;
}

/* substring(x from a for b), position(a in x) */
static struct expr *substring_call(struct parser *p, uint32_t at)
{
    struct expr *e = sql_call1(p, at, "substring", NULL);

    sql_want_punct(p, "(");
    sql_add_arg(e, p->rules->expr(p));
    while (sql_take_punct(p, ",") || sql_take_word(p, "from") || sql_take_word(p, "for"))
        sql_add_arg(e, p->rules->expr(p));
    sql_want_punct(p, ")");
    return e;
}

static struct expr *position_call(struct parser *p, uint32_t at)
{
    struct expr *e = sql_call1(p, at, "position", NULL), *needle;

    sql_want_punct(p, "(");
    needle = p->rules->operand(p);
    sql_want_word(p, "in");
    sql_add_arg(e, p->rules->operand(p));
    sql_add_arg(e, needle);
    sql_want_punct(p, ")");
    return e;
}

static struct expr *array_call(struct parser *p, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_ARRAY, at);
    size_t count;

    if (sql_take_punct(p, "(")) {
        e->select = p->rules->select(p);
        sql_want_punct(p, ")");
        return e;
    }
    sql_want_punct(p, "[");
    if (!sql_is_punct(p, 0, "]"))
        sql_add_arg(e, sql_expr_list(p, &count));
    sql_want_punct(p, "]");
    return e;
}

static struct expr *exists_call(struct parser *p, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_EXISTS, at);

    sql_want_punct(p, "(");
    e->select = p->rules->select(p);
    sql_want_punct(p, ")");
    return e;
}

/* Words that are calls without parentheses. */
static struct expr *bare_call(struct parser *p, const struct token *t)
{
    static const char *const words[] = { "current_user", "session_user",      "user",
                                         "current_role", "current_catalog",   "current_schema",
                                         "current_date", "current_timestamp", "localtimestamp" };

    size_t i = str_index_of(t->text, words, COUNT_OF(words));

    if (i == COUNT_OF(words))
        return NULL;
    sql_next(p);
    if (sql_take_punct(p, "(")) { /* current_schema(), current_timestamp(3) */
        if (sql_peek(p, 0)->kind == TOKEN_INTEGER)
            sql_next(p);
        sql_want_punct(p, ")");
    }
    return sql_call1(p, t->at, words[i], NULL);
}

static struct expr *worded_call(struct parser *p, const struct token *t)
{
    static const struct {
        const char *word;
        const char *open; /* what must follow, or NULL */
        struct expr *(*parse)(struct parser *p, uint32_t at);
    } words[] = {
        { "case", NULL, case_expr },          { "cast", NULL, cast_call },
        { "extract", "(", extract_call },     { "trim", "(", trim_call },
        { "substring", "(", substring_call }, { "position", "(", position_call },
        { "array", NULL, array_call },        { "exists", "(", exists_call },
    };

    if (t->kind != TOKEN_WORD)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_is(t->text, words[i].word) && (words[i].open == NULL || sql_is_punct(p, 1, words[i].open))) {
            sql_next(p);
            return words[i].parse(p, t->at);
        }
    }
    return bare_call(p, t);
}

/* ---- names ---- */

static struct window *window(struct parser *p)
{
    struct window *w = SQL_NEW(p, struct window);
    uint32_t at = sql_peek(p, 0)->at;
    size_t count;

    if (!sql_take_punct(p, "(")) {
        sql_unsupported(p, at, "a named window is");
        return w;
    }
    if (sql_take_word(p, "partition")) {
        sql_want_word(p, "by");
        w->partition = sql_expr_list(p, &count);
    }
    if (sql_take_word(p, "order")) {
        sql_want_word(p, "by");
        w->order = sql_order_list(p);
    }
    if (!p->failed && !sql_is_punct(p, 0, ")"))
        sql_unsupported(p, sql_peek(p, 0)->at, "a window frame is");
    sql_want_punct(p, ")");
    return w;
}

static void call_arguments(struct parser *p, struct expr *e)
{
    size_t count;

    if (sql_take_operator(p, "*")) {
        e->star = true;
    } else if (!sql_is_punct(p, 0, ")")) {
        e->distinct = sql_take_word(p, "distinct");
        if (!e->distinct)
            (void)sql_take_word(p, "all");
        sql_add_arg(e, sql_expr_list(p, &count));
        if (sql_is_word(p, 0, "order"))
            sql_unsupported(p, sql_peek(p, 0)->at, "ORDER BY in an aggregate is");
    }
    sql_want_punct(p, ")");
    if (sql_is_word(p, 0, "filter") && sql_is_punct(p, 1, "(")) {
        p->i += 2;
        sql_want_word(p, "where");
        e->filter = p->rules->expr(p);
        sql_want_punct(p, ")");
    }
    if (sql_take_word(p, "over"))
        e->over = window(p);
    if (sql_is_word(p, 0, "within"))
        sql_unsupported(p, sql_peek(p, 0)->at, "WITHIN GROUP is");
}

static bool fail_schema(struct parser *p, uint32_t at, struct str schema)
{
    if (str_is(schema, "pg_catalog") || str_is(schema, "public"))
        return false;
    if (!p->failed)
        (void)sql_fail(p->e, E_NO_SCHEMA, at, "schema \"%.*s\" does not exist", STR_ARG(schema));
    p->failed = true;
    return true;
}

/* column, table.column, schema.table.column, table.*, function(…), schema.function(…) */
static struct expr *named(struct parser *p, const struct token *t)
{
    struct str parts[3] = { { 0 } };
    size_t count = 0;
    struct expr *e;

    /* system_user is a keyword only where no column has the name; left() and right() are functions. */
    parts[count++] = str_is(t->text, "system_user") || sql_is_punct(p, 1, "(") ? sql_want_label(p)
                                                                               : sql_want_name(p);
    while (count < 3 && sql_take_punct(p, ".")) {
        if (sql_take_operator(p, "*")) {
            e = sql_node(p, EXPR_STAR, t->at);
            e->table = parts[count - 1];
            return e;
        }
        parts[count++] = sql_want_label(p);
    }
    if (sql_take_punct(p, "(")) {
        if (count == 3)
            sql_syntax(p);
        if (count == 2)
            (void)fail_schema(p, t->at, parts[0]);
        e = sql_node(p, EXPR_CALL, t->at);
        e->name = parts[count - 1];
        call_arguments(p, e);
        return e;
    }
    if (count == 3)
        (void)fail_schema(p, t->at, parts[0]);
    e = sql_node(p, EXPR_COLUMN, t->at);
    e->name = parts[count - 1];
    if (count > 1)
        e->table = parts[count - 2];
    return e;
}

static struct expr *parenthesised(struct parser *p, uint32_t at)
{
    struct expr *e;

    if (sql_at_select(p, 0)) {
        e = sql_node(p, EXPR_SELECT, at);
        e->select = p->rules->select(p);
    } else {
        e = p->rules->expr(p);
        if (sql_is_punct(p, 0, ","))
            sql_unsupported(p, at, "a row of several values is");
    }
    sql_want_punct(p, ")");
    return e;
}

struct expr *sql_primary(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);
    struct expr *e;

    switch (t->kind) {
    case TOKEN_INTEGER:
    case TOKEN_DECIMAL:
        return number(p, t);
    case TOKEN_STRING:
        sql_next(p);
        return sql_text(p, t->at, t->text);
    case TOKEN_PARAM:
        return param(p, t);
    case TOKEN_PUNCT:
        if (sql_take_punct(p, "("))
            return parenthesised(p, t->at);
        break;
    case TOKEN_WORD:
        e = literal_word(p, t);
        if (e == NULL)
            e = typed_literal(p, t);
        if (e == NULL)
            e = worded_call(p, t);
        return e != NULL ? e : named(p, t);
    case TOKEN_QUOTED:
        return named(p, t);
    case TOKEN_OPERATOR:
    case TOKEN_END:
        break;
    }
    sql_syntax(p);
    return sql_node(p, EXPR_CONST, t->at);
}

struct expr *sql_expr_list(struct parser *p, size_t *count)
{
    struct expr *first = NULL, **tail = &first;

    *count = 0;
    do {
        *tail = p->rules->expr(p);
        if (p->failed)
            return NULL;
        tail = &(*tail)->next;
        ++*count;
    } while (sql_take_punct(p, ","));
    return first;
}

struct order *sql_order_list(struct parser *p)
{
    struct order *first = NULL, **tail = &first;

    do {
        struct order *o = SQL_NEW(p, struct order);
        o->at = sql_peek(p, 0)->at;
        o->expr = p->rules->expr(p);
        o->desc = sql_take_word(p, "desc");
        if (!o->desc)
            (void)sql_take_word(p, "asc");
        if (sql_is_word(p, 0, "using"))
            sql_unsupported(p, sql_peek(p, 0)->at, "ORDER BY … USING is");
        o->nulls_first = o->desc;
        if (sql_take_word(p, "nulls")) {
            o->nulls_first = sql_take_word(p, "first");
            if (!o->nulls_first)
                sql_want_word(p, "last");
        }
        if (p->failed)
            return NULL;
        *tail = o;
        tail = &o->next;
    } while (sql_take_punct(p, ","));
    return first;
}
