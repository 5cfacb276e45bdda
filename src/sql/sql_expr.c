/* Expressions by precedence, weakest first. [src: PostgreSQL 18, "Operator Precedence"] */
#include "sql/sql_expr.h"

#include "sql/sql_cursor.h"
#include "sql/sql_node.h"
#include "sql/sql_primary.h"

static struct expr *infix(struct parser *p, uint32_t at, struct str op, struct expr *left)
{
    struct expr *e = sql_node(p, EXPR_INFIX, at);

    e->name = op;
    if (left != NULL)
        sql_add_arg(e, left);
    return e;
}

/* ---- postfix and prefix ---- */

static struct expr *postfix(struct parser *p)
{
    struct expr *e = sql_primary(p);

    for (;;) {
        uint32_t at = sql_peek(p, 0)->at;
        if (sql_take_punct(p, "::")) {
            struct expr *cast = sql_node(p, EXPR_CAST, at);
            cast->type = sql_type_name(p);
            sql_add_arg(cast, e);
            e = cast;
        } else if (sql_take_punct(p, "[")) {
            struct expr *get = sql_call1(p, at, "pgseal_array_get", e);
            sql_add_arg(get, sql_expr(p));
            sql_want_punct(p, "]");
            e = get;
        } else {
            return e;
        }
        if (!sql_enter(p)) /* counts a chain's length; left by sql_expr() */
            return e;
    }
}

static struct expr *prefix(struct parser *p)
{
    const struct token *t = sql_peek(p, 0);
    struct expr *e;

    if (!sql_is_operator(p, 0, "-") && !sql_is_operator(p, 0, "+"))
        return postfix(p);
    sql_next(p);
    if (!sql_enter(p))
        return sql_node(p, EXPR_CONST, t->at);
    e = prefix(p);
    sql_leave(p);
    if (str_is(t->text, "+"))
        return e;
    struct expr *minus = sql_node(p, EXPR_INFIX, t->at);
    minus->name = STR("-");
    sql_add_arg(minus, e);
    return minus;
}

/* COLLATE "C" and the default collation are what the engine does anyway; AT TIME ZONE knows UTC. */
static struct expr *suffixed(struct parser *p)
{
    struct expr *e = prefix(p);

    for (;;) {
        uint32_t at = sql_peek(p, 0)->at;
        if (sql_take_word(p, "collate")) {
            struct str name = sql_want_label(p);
            if (sql_take_punct(p, "."))
                name = sql_want_label(p);
            if (!p->failed && !str_is(name, "C") && !str_is(name, "POSIX") && !str_is(name, "default") &&
                !str_is(name, "ucs_basic"))
                sql_unsupported(p, at, "this collation is");
        } else if (sql_is_word(p, 0, "at") && sql_is_word(p, 1, "time") && sql_is_word(p, 2, "zone")) {
            p->i += 3;
            struct expr *zone = sql_call1(p, at, "timezone", prefix(p));
            sql_add_arg(zone, e);
            e = zone;
        } else {
            return e;
        }
    }
}

/* ---- the arithmetic levels ---- */

static bool is_level(const struct parser *p, const char *const *ops)
{
    for (; *ops != NULL; ops++)
        if (sql_is_operator(p, 0, *ops))
            return true;
    return false;
}

static struct expr *power(struct parser *p)
{
    struct expr *e = suffixed(p);

    if (sql_is_operator(p, 0, "^"))
        sql_unsupported(p, sql_peek(p, 0)->at, "operator ^ is");
    return e;
}

typedef struct expr *(*rule)(struct parser *p);

/* A left-associative level. Its length counts as depth, because it becomes nested calls. */
static struct expr *level(struct parser *p, const char *const *ops, rule below)
{
    struct expr *e = below(p);
    unsigned depth = p->depth;

    while (is_level(p, ops) && sql_enter(p)) {
        const struct token *t = sql_peek(p, 0);
        sql_next(p);
        e = infix(p, t->at, t->text, e);
        sql_add_arg(e, below(p));
    }
    p->depth = depth;
    return e;
}

static struct expr *product(struct parser *p)
{
    static const char *const ops[] = { "*", "/", "%", NULL };

    return level(p, ops, power);
}

static struct expr *sum(struct parser *p)
{
    static const char *const ops[] = { "+", "-", NULL };

    return level(p, ops, product);
}

static bool is_comparison(const struct parser *p)
{
    static const char *const ops[] = { "<", ">", "=", "<=", ">=", "<>", NULL };

    return is_level(p, ops);
}

/* OPERATOR(schema.op): returns the operator's text, or an empty one where there is none. */
static struct str named_operator(struct parser *p)
{
    struct str op;

    if (!sql_is_word(p, 0, "operator") || !sql_is_punct(p, 1, "("))
        return str_of("", 0);
    p->i += 2;
    if (sql_peek(p, 0)->kind == TOKEN_WORD) {
        sql_want_word(p, "pg_catalog");
        sql_want_punct(p, ".");
    }
    op = sql_peek(p, 0)->text;
    if (sql_peek(p, 0)->kind != TOKEN_OPERATOR)
        sql_syntax(p);
    sql_next(p);
    sql_want_punct(p, ")");
    return op;
}

static bool at_quantifier(const struct parser *p)
{
    return (sql_is_word(p, 0, "any") || sql_is_word(p, 0, "some") || sql_is_word(p, 0, "all")) &&
           sql_is_punct(p, 1, "(");
}

/* left OP ANY (array or SELECT) */
static struct expr *quantified(struct parser *p, struct expr *e)
{
    e->kind = EXPR_ANY;
    e->all = sql_is_word(p, 0, "all");
    p->i += 2;
    if (sql_at_select(p, 0))
        e->select = p->rules->select(p);
    else
        sql_add_arg(e, sql_expr(p));
    sql_want_punct(p, ")");
    return e;
}

static struct expr *with_right(struct parser *p, struct expr *e, rule below)
{
    if (at_quantifier(p))
        return quantified(p, e);
    sql_add_arg(e, below(p));
    return e;
}

/* All operators that have no level of their own: ||, ~, @>, <<, … */
struct expr *sql_operand(struct parser *p)
{
    struct expr *e = sum(p);
    unsigned depth = p->depth;

    for (;;) {
        const struct token *t = sql_peek(p, 0);
        struct str op = named_operator(p);
        if (op.n == 0 && t->kind == TOKEN_OPERATOR && !is_comparison(p)) {
            op = t->text;
            sql_next(p);
        }
        if (op.n == 0 || p->failed || !sql_enter(p))
            break;
        e = with_right(p, infix(p, t->at, op, e), sum);
    }
    p->depth = depth;
    return e;
}

/* ---- BETWEEN, IN, LIKE ---- */

static struct expr *between(struct parser *p, struct expr *left, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_BETWEEN, at);

    if (sql_take_word(p, "symmetric"))
        sql_unsupported(p, at, "BETWEEN SYMMETRIC is");
    (void)sql_take_word(p, "asymmetric");
    sql_add_arg(e, left);
    sql_add_arg(e, sql_operand(p));
    sql_want_word(p, "and");
    sql_add_arg(e, sql_operand(p));
    return e;
}

static struct expr *in_list(struct parser *p, struct expr *left, uint32_t at)
{
    struct expr *e = sql_node(p, EXPR_IN, at);
    size_t count;

    sql_next(p);
    sql_add_arg(e, left);
    sql_want_punct(p, "(");
    if (sql_at_select(p, 0))
        e->select = p->rules->select(p);
    else
        sql_add_arg(e, sql_expr_list(p, &count));
    sql_want_punct(p, ")");
    return e;
}

static struct expr *like(struct parser *p, struct expr *left, uint32_t at, struct str op)
{
    struct expr *e = with_right(p, infix(p, at, op, left), sql_operand);

    if (sql_is_word(p, 0, "escape"))
        sql_unsupported(p, sql_peek(p, 0)->at, "LIKE with ESCAPE is");
    return e;
}

static struct expr *membership(struct parser *p)
{
    struct expr *e = sql_operand(p);
    uint32_t at = sql_peek(p, 0)->at;
    bool negated = sql_is_word(p, 0, "not") &&
                   (sql_is_word(p, 1, "between") || sql_is_word(p, 1, "in") || sql_is_word(p, 1, "like") ||
                    sql_is_word(p, 1, "ilike") || sql_is_word(p, 1, "similar"));

    if (negated)
        sql_next(p);
    if (sql_is_word(p, 0, "between") || sql_is_word(p, 0, "in")) {
        e = sql_take_word(p, "between") ? between(p, e, at) : in_list(p, e, at);
        e->negated = negated;
        return e;
    }
    if (sql_take_word(p, "like"))
        return like(p, e, at, negated ? STR("!~~") : STR("~~"));
    if (sql_take_word(p, "ilike"))
        return like(p, e, at, negated ? STR("!~~*") : STR("~~*"));
    if (sql_is_word(p, 0, "similar"))
        sql_unsupported(p, at, "SIMILAR TO is");
    return e;
}

/* ---- comparison, IS, NOT, AND, OR ---- */

static struct expr *comparison(struct parser *p)
{
    struct expr *e = membership(p);

    if (is_comparison(p)) {
        const struct token *t = sql_peek(p, 0);
        sql_next(p);
        e = with_right(p, infix(p, t->at, t->text, e), membership);
        if (is_comparison(p))
            sql_syntax(p);
    }
    return e;
}

/* IS NOT DISTINCT FROM and IS DISTINCT FROM are operators here, with SQLite's names. */
static struct expr *distinct_from(struct parser *p, struct expr *left, uint32_t at, bool negated)
{
    struct expr *e = infix(p, at, negated ? STR("is not distinct from") : STR("is distinct from"), left);

    sql_want_word(p, "from");
    sql_add_arg(e, membership(p));
    return e;
}

static struct expr *is_tests(struct parser *p)
{
    static const char *const words[] = { "null", "true", "false", "unknown" };
    struct expr *e = comparison(p);

    for (;;) {
        uint32_t at = sql_peek(p, 0)->at;
        struct expr *test = NULL;
        bool isnull = sql_take_word(p, "isnull"), notnull = !isnull && sql_take_word(p, "notnull");
        if (isnull || notnull) {
            test = sql_node(p, EXPR_IS, at);
            test->negated = notnull;
        } else if (sql_take_word(p, "is")) {
            bool negated = sql_take_word(p, "not");
            if (sql_take_word(p, "distinct")) {
                e = distinct_from(p, e, at, negated);
                continue;
            }
            test = sql_node(p, EXPR_IS, at);
            test->negated = negated;
            while (test->test < IS_UNKNOWN && !sql_is_word(p, 0, words[test->test]))
                test->test = (enum is_test)(test->test + 1);
            sql_want_word(p, words[test->test]);
        }
        if (test == NULL || !sql_enter(p))
            return e;
        sql_add_arg(test, e);
        e = test;
    }
}

static struct expr *negation(struct parser *p)
{
    uint32_t at = sql_peek(p, 0)->at;
    struct expr *e;

    if (!sql_take_word(p, "not"))
        return is_tests(p);
    if (!sql_enter(p))
        return sql_node(p, EXPR_CONST, at);
    e = sql_node(p, EXPR_NOT, at);
    sql_add_arg(e, negation(p));
    sql_leave(p);
    return e;
}

/* Chains of AND and OR stay flat however long they are. */
static struct expr *chain(struct parser *p, enum expr_kind kind, const char *word, rule below)
{
    struct expr *first = below(p), *e;

    if (!sql_is_word(p, 0, word))
        return first;
    e = sql_node(p, kind, sql_peek(p, 0)->at);
    sql_add_arg(e, first);
    while (sql_take_word(p, word))
        sql_add_arg(e, below(p));
    return e;
}

static struct expr *conjunction(struct parser *p)
{
    return chain(p, EXPR_AND, "and", negation);
}

struct expr *sql_expr(struct parser *p)
{
    unsigned depth = p->depth;
    struct expr *e;

    if (!sql_enter(p))
        return sql_node(p, EXPR_CONST, sql_peek(p, 0)->at);
    e = chain(p, EXPR_OR, "or", conjunction);
    p->depth = depth;
    return e;
}
