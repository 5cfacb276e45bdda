/* Operators. [src: PostgreSQL 18, "Functions and Operators"] */
#include "sql/typer_ops.h"

#include "base/arena.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "sql/typer_args.h"
#include "sql/typer_coerce.h"
#include "sql/typer_impl.h"

static char category(enum pg_type type)
{
    return pg_type_def(type)->category;
}

static enum code no_operator(struct typer *t, const struct expr *e)
{
    const struct expr *left = e->args, *right = left->next;
    enum code code;

    if (right == NULL)
        code = sql_fail(t->e, E_UNDEF_FUNCTION, e->at, "operator does not exist: %.*s %s", STR_ARG(e->name),
                        pg_type_def(left->type)->label);
    else
        code = sql_fail(t->e, E_UNDEF_FUNCTION, e->at, "operator does not exist: %s %.*s %s",
                        pg_type_def(left->type)->label, STR_ARG(e->name), pg_type_def(right->type)->label);
    err_hint(&t->e->err,
             "No operator matches the given name and argument types. You might need to add explicit "
             "type casts.");
    return code;
}

/* Coerce both operands; the operator stays infix, under SQLite's name. */
static enum code stay_infix(struct typer *t, struct expr *e, enum pg_type operands, enum pg_type result)
{
    TRY(type_coerce(t, &e->args, operands));
    TRY(type_coerce(t, &e->args->next, operands));
    if (e->emit.n == 0)
        e->emit = e->name;
    e->type = result;
    return OK;
}

/* The operator becomes a function's call. */
static enum code become_call(struct typer *t, struct expr *e, const char *function, enum pg_type operands,
                             enum pg_type result)
{
    for (struct expr **slot = &e->args; *slot != NULL; slot = &(*slot)->next)
        TRY(type_coerce(t, slot, operands));
    e->kind = EXPR_CALL;
    e->emit = str_c(function);
    e->type = result;
    return OK;
}

static enum code add_int_arg(struct typer *t, struct expr *e, int64_t v)
{
    struct expr *arg = type_const_int(t, v), **tail = &e->args;

    if (arg == NULL)
        return type_nomem(t);
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = arg;
    e->arg_count++;
    return OK;
}

static enum code type_comparison(struct typer *t, struct expr *e)
{
    enum pg_type common;

    if (!type_common(e->args->type, e->args->next->type, &common))
        return no_operator(t, e);
    if (common == PG_UNKNOWN)
        common = PG_TEXT;
    if (str_is(e->name, "is distinct from"))
        e->emit = STR("IS NOT");
    else if (str_is(e->name, "is not distinct from"))
        e->emit = STR("IS");
    return stay_infix(t, e, common, PG_BOOL);
}

/* ---- arithmetic ---- */

/* + - * / % of integers, checked for overflow and division by zero; of numerics; of doubles. */
static enum code type_numbers(struct typer *t, struct expr *e, enum pg_type common)
{
    static const struct {
        const char *op;
        const char *integer;
        const char *numeric;
    } names[] = {
        { "+", "pgseal_int_add", "pgseal_num_add" }, { "-", "pgseal_int_sub", "pgseal_num_sub" },
        { "*", "pgseal_int_mul", "pgseal_num_mul" }, { "/", "pgseal_int_div", "pgseal_num_div" },
        { "%", "pgseal_int_mod", "pgseal_num_mod" },
    };
    size_t i = 0;

    while (i < COUNT_OF(names) && !str_is(e->name, names[i].op))
        i++;
    CHECK(i < COUNT_OF(names));
    if (common == PG_FLOAT8)
        return str_is(e->name, "%") ? no_operator(t, e) : stay_infix(t, e, common, common);
    if (common == PG_NUMERIC)
        return become_call(t, e, names[i].numeric, common, common);
    TRY(become_call(t, e, names[i].integer, common, common));
    return add_int_arg(t, e, pg_type_def(common)->length);
}

/* Times are integers inside, so their sums are those of integers, checked for overflow. */
static enum code become_sum(struct typer *t, struct expr *e, enum pg_type result)
{
    e->kind = EXPR_CALL;
    e->emit = str_is(e->name, "+") ? STR("pgseal_int_add") : STR("pgseal_int_sub");
    e->type = result;
    return add_int_arg(t, e, 8);
}

static enum code type_time_difference(struct typer *t, struct expr *e, enum pg_type common)
{
    TRY(type_coerce(t, &e->args, common));
    TRY(type_coerce(t, &e->args->next, common));
    return become_sum(t, e, common == PG_DATE ? PG_INT4 : PG_INTERVAL);
}

/* time ± interval, date ± integer; `first`: the time is the left operand. */
static enum code type_time_shift(struct typer *t, struct expr *e, bool first)
{
    enum pg_type time = first ? e->args->type : e->args->next->type;
    enum pg_type other = first ? e->args->next->type : e->args->type, shift = PG_INTERVAL;

    if (time == PG_DATE && category(other) == 'N')
        shift = PG_INT4;
    else if (other != PG_INTERVAL && other != PG_UNKNOWN)
        return no_operator(t, e);
    else if (time == PG_DATE)
        time = PG_TIMESTAMP;
    TRY(type_coerce(t, &e->args->next, first ? shift : time)); /* the later first: the earlier moves it */
    TRY(type_coerce(t, &e->args, first ? time : shift));
    return become_sum(t, e, time);
}

static enum code type_times(struct typer *t, struct expr *e)
{
    enum pg_type a = e->args->type, b = e->args->next->type, common;
    bool plus = str_is(e->name, "+"), minus = str_is(e->name, "-");

    if (a == PG_INTERVAL && (category(b) == 'N') && (str_is(e->name, "*") || str_is(e->name, "/"))) {
        TRY(type_coerce(t, &e->args->next, PG_FLOAT8));
        e->kind = EXPR_CALL;
        e->emit = str_is(e->name, "*") ? STR("pgseal_interval_mul") : STR("pgseal_interval_div");
        e->type = PG_INTERVAL;
        return OK;
    }
    if (minus && category(a) == 'D' && (category(b) == 'D' || b == PG_UNKNOWN) && type_common(a, b, &common))
        return type_time_difference(t, e, common);
    if ((plus || minus) && category(a) == 'D')
        return type_time_shift(t, e, true);
    if (plus && category(b) == 'D')
        return type_time_shift(t, e, false);
    if ((plus || minus) && (a == PG_INTERVAL || a == PG_UNKNOWN) && (b == PG_INTERVAL || b == PG_UNKNOWN))
        return type_time_difference(t, e, PG_INTERVAL);
    return no_operator(t, e);
}

static enum code type_arithmetic(struct typer *t, struct expr *e)
{
    enum pg_type a = e->args->type, b = e->args->next->type, common;
    char ca = category(a), cb = category(b);

    if (ca == 'D' || ca == 'T' || cb == 'D' || cb == 'T')
        return type_times(t, e);
    if (a == PG_UNKNOWN && b == PG_UNKNOWN) {
        enum code code = sql_fail(t->e, E_AMBIGUOUS_FUNCTION, e->at,
                                  "operator is not unique: unknown %.*s unknown", STR_ARG(e->name));
        err_hint(&t->e->err,
                 "Could not choose a best candidate operator. You might need to add explicit type casts.");
        return code;
    }
    if ((ca != 'N' && ca != 'X') || (cb != 'N' && cb != 'X') || !type_common(a, b, &common))
        return no_operator(t, e);
    return type_numbers(t, e, common == PG_OID ? PG_INT8 : common);
}

static enum code type_minus(struct typer *t, struct expr *e)
{
    struct expr *zero = type_const_int(t, 0), *operand = e->args;

    if (zero == NULL)
        return type_nomem(t);
    if (operand->kind == EXPR_CONST && operand->value.kind == DATUM_INT && category(operand->type) == 'N') {
        operand->value.i = -operand->value.i;
        e->kind = EXPR_CAST;
        e->type = operand->type;
        return OK;
    }
    if (category(operand->type) != 'N' && operand->type != PG_INTERVAL)
        return no_operator(t, e);
    zero->type = PG_UNKNOWN;
    zero->value = datum_text(STR("0"));
    zero->next = operand;
    e->args = zero;
    e->arg_count = 2;
    return type_arithmetic(t, e);
}

/* ---- text, arrays, addresses ---- */

/* An element beside an array becomes an array of one. [src: PostgreSQL 18, array_append, array_prepend] */
static enum code become_item(struct typer *t, struct expr **slot, enum pg_type element, enum pg_type array)
{
    struct expr *call = ARENA_NEW(t->arena, struct expr);

    if (call == NULL)
        return type_nomem(t);
    TRY(type_coerce(t, slot, element));
    call->kind = EXPR_CALL;
    call->at = (*slot)->at;
    call->type = array;
    call->emit = STR("pgseal_array");
    struct expr *item = *slot;
    type_replace(slot, call);
    call->args = item;
    call->arg_count = 1;
    return OK;
}

/* Two arrays, or an array and an element. A literal is taken for an array, as PostgreSQL does. */
static enum code type_array_concat(struct typer *t, struct expr *e)
{
    enum pg_type a = e->args->type, b = e->args->next->type, element, array;
    bool first = category(a) == 'A';

    if (first ? category(b) == 'A' || b == PG_UNKNOWN : a == PG_UNKNOWN)
        return become_call(t, e, "pgseal_array_cat", first ? a : b, first ? a : b);
    if (!type_common(pg_type_def(first ? a : b)->element, first ? b : a, &element) ||
        !pg_type_array_of(element, &array))
        return no_operator(t, e);
    TRY(become_item(t, first ? &e->args->next : &e->args, element, array));
    return become_call(t, e, "pgseal_array_cat", array, array);
}

static enum code type_concat(struct typer *t, struct expr *e)
{
    enum pg_type a = e->args->type, b = e->args->next->type;
    char ca = category(a), cb = category(b);

    if (ca == 'A' || cb == 'A')
        return type_array_concat(t, e);
    if (ca != 'S' && ca != 'X' && cb != 'S' && cb != 'X' && a != PG_CHAR && b != PG_CHAR)
        return no_operator(t, e);
    return stay_infix(t, e, PG_TEXT, PG_TEXT);
}

static enum code type_pattern(struct typer *t, struct expr *e)
{
    bool regex = str_starts(e->name, STR("~")) && !str_starts(e->name, STR("~~"));
    bool negated = str_starts(e->name, STR("!")), any_case = str_ends(e->name, STR("*"));

    regex = regex || (negated && !str_starts(e->name, STR("!~~")));
    for (const struct expr *arg = e->args; arg != NULL; arg = arg->next)
        if (!type_implicit(arg->type, PG_TEXT))
            return no_operator(t, e);
    TRY(become_call(t, e, regex ? "pgseal_regex" : "pgseal_like", PG_TEXT, PG_BOOL));
    TRY(add_int_arg(t, e, any_case));
    return add_int_arg(t, e, negated);
}

static enum code type_containment(struct typer *t, struct expr *e)
{
    static const struct {
        const char *op;
        int code;
    } inet_ops[] = { { "<<", 0 }, { "<<=", 1 }, { ">>", 2 }, { ">>=", 3 }, { "&&", 4 } };
    enum pg_type a = e->args->type, b = e->args->next->type, common;
    bool array = category(a) == 'A' || category(b) == 'A';

    if (!type_common(a, b, &common) || (!array && common != PG_INET))
        return no_operator(t, e);
    if (array) {
        const char *function = str_is(e->name, "@>")   ? "pgseal_array_contains"
                               : str_is(e->name, "<@") ? "pgseal_array_contained"
                               : str_is(e->name, "&&") ? "pgseal_array_overlaps"
                                                       : NULL;
        return function ? become_call(t, e, function, common, PG_BOOL) : no_operator(t, e);
    }
    for (size_t i = 0; i < COUNT_OF(inet_ops); i++) {
        if (str_is(e->name, inet_ops[i].op)) {
            TRY(become_call(t, e, "pgseal_inet_op", common, PG_BOOL));
            return add_int_arg(t, e, inet_ops[i].code);
        }
    }
    return no_operator(t, e);
}

static bool is_one_of(struct str op, const char *list)
{
    struct str rest = str_c(list), word;

    while (str_split(&rest, ' ', &word))
        if (str_equal(word, op))
            return true;
    return false;
}

static bool is_comparison(struct str op)
{
    return is_one_of(op, "= <> < > <= >=") || str_starts(op, STR("is "));
}

enum code type_infix(struct typer *t, struct scope *scope, struct expr **slot)
{
    struct expr *e = *slot;

    TRY(type_args(t, scope, e));
    if (e->arg_count == 1)
        return type_minus(t, e);
    if (is_comparison(e->name))
        return type_comparison(t, e);
    if (is_one_of(e->name, "+ - * / %"))
        return type_arithmetic(t, e);
    if (str_is(e->name, "||"))
        return type_concat(t, e);
    if (is_one_of(e->name, "~ ~* !~ !~* ~~ ~~* !~~ !~~*"))
        return type_pattern(t, e);
    if (is_one_of(e->name, "<< <<= >> >>= && @> <@"))
        return type_containment(t, e);
    return no_operator(t, e);
}

/* ---- ANY and ALL ---- */

/* = ANY (SELECT …) is IN, <> ALL (SELECT …) is NOT IN. */
static enum code any_select(struct typer *t, struct scope *scope, struct expr **slot)
{
    struct expr *e = *slot;

    if (!(str_is(e->name, "=") && !e->all) && !(str_is(e->name, "<>") && e->all))
        return sql_fail(
            t->e, E_UNSUPPORTED, e->at,
            "this operator with ANY or ALL of a subquery is not supported in the status database");
    e->negated = e->all;
    e->kind = EXPR_IN;
    return t->rules->expr(t, scope, slot);
}

enum code type_any(struct typer *t, struct scope *scope, struct expr **slot)
{
    static const char *const ops[] = { "=", "<>", "<", ">", "<=", ">=", "~~" };
    struct expr *e = *slot;
    enum pg_type element, array, common;
    size_t op = 0;

    if (e->select != NULL)
        return any_select(t, scope, slot);
    TRY(type_args(t, scope, e));
    struct expr *left = e->args;
    if (left->next->type == PG_UNKNOWN) {
        element = left->type == PG_UNKNOWN ? PG_TEXT : left->type;
        if (!pg_type_array_of(element, &array))
            array = PG_TEXTS;
        TRY(type_coerce(t, &left->next, array));
    }
    if (category(left->next->type) != 'A')
        return sql_fail(t->e, E_WRONG_OBJECT, e->at, "op ANY/ALL (array) requires array on right side");
    while (op < COUNT_OF(ops) && !str_is(e->name, ops[op]))
        op++;
    element = pg_type_def(left->next->type)->element;
    if (op == COUNT_OF(ops) || !type_common(left->type, element, &common))
        return no_operator(t, e);
    TRY(type_coerce(t, &e->args, common));
    e->kind = EXPR_CALL;
    e->emit = STR("pgseal_any");
    e->type = PG_BOOL;
    TRY(add_int_arg(t, e, (int64_t)op));
    TRY(add_int_arg(t, e, e->all));
    return add_int_arg(t, e, (int64_t)common);
}
