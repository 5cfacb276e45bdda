/* Checked integers, decimals, and the aggregates over them. */
#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgnumeric.h"
#include "pgtypes/type.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"

#include <math.h>

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

enum { NUMBER_MAX = 4096 };

/* ---- integers: pgseal_int_add(a, b, bytes) ---- */

static void return_checked(sqlite3_context *cx, bool overflow, int64_t v, int64_t bytes)
{
    int64_t max = bytes == 2 ? INT16_MAX : bytes == 4 ? INT32_MAX : INT64_MAX;
    enum pg_type type = bytes == 2 ? PG_INT2 : bytes == 4 ? PG_INT4 : PG_INT8;

    if (overflow || v > max || v < -max - 1)
        db_refuse(cx, E_RANGE, "%s out of range", pg_type_def(type)->label);
    else
        sqlite3_result_int64(cx, v);
}

static void compute(sqlite3_context *cx, sqlite3_value **args, enum numeric_op op, int64_t bytes)
{
    int64_t a = sqlite3_value_int64(args[0]), b = sqlite3_value_int64(args[1]), v = 0;
    bool overflow = false;

    if (db_any_null(2, args))
        return;
    if ((op == NUMERIC_DIV || op == NUMERIC_MOD) && b == 0) {
        db_refuse(cx, E_DIVISION, "division by zero");
        return;
    }
    switch (op) {
    case NUMERIC_ADD:
        overflow = __builtin_add_overflow(a, b, &v);
        break;
    case NUMERIC_SUB:
        overflow = __builtin_sub_overflow(a, b, &v);
        break;
    case NUMERIC_MUL:
        overflow = __builtin_mul_overflow(a, b, &v);
        break;
    case NUMERIC_DIV:
        overflow = a == INT64_MIN && b == -1;
        v = overflow ? 0 : a / b;
        break;
    case NUMERIC_MOD:
        v = b == -1 ? 0 : a % b;
        break;
    }
    return_checked(cx, overflow, v, bytes);
}

#define INTEGER_FUNCTION(name, op)                                                                           \
    static void name(ARGS)                                                                                   \
    {                                                                                                        \
        (void)n;                                                                                             \
        compute(cx, args, op, sqlite3_value_int64(args[2]));                                                 \
    }
INTEGER_FUNCTION(f_int_add, NUMERIC_ADD)
INTEGER_FUNCTION(f_int_sub, NUMERIC_SUB)
INTEGER_FUNCTION(f_int_mul, NUMERIC_MUL)
INTEGER_FUNCTION(f_int_div, NUMERIC_DIV)
INTEGER_FUNCTION(f_int_mod, NUMERIC_MOD)

static void f_mod4(ARGS)
{
    (void)n;
    compute(cx, args, NUMERIC_MOD, 4);
}

static void f_mod8(ARGS)
{
    (void)n;
    compute(cx, args, NUMERIC_MOD, 8);
}

/* ---- decimals ---- */

static void dbnumber_finish(sqlite3_context *cx, enum code code, const struct buf *text)
{
    if (code == E_DIVISION)
        db_refuse(cx, code, "division by zero");
    else if (code != OK)
        db_refuse(cx, code == E_RANGE ? E_RANGE : E_NOMEM, "%s",
                  code == E_RANGE ? "value overflows numeric format" : "out of memory");
    else
        db_return_buf(cx, text);
}

static void compute_numeric(sqlite3_context *cx, sqlite3_value **args, enum numeric_op op)
{
    AUTO(buf) struct buf text = BUF_INIT(NUMBER_MAX);

    if (!db_any_null(2, args))
        dbnumber_finish(cx, pgnumeric_compute(op, db_text_arg(args[0]), db_text_arg(args[1]), &text), &text);
}

#define NUMERIC_FUNCTION(name, op)                                                                           \
    static void name(ARGS)                                                                                   \
    {                                                                                                        \
        (void)n;                                                                                             \
        compute_numeric(cx, args, op);                                                                       \
    }
NUMERIC_FUNCTION(f_num_add, NUMERIC_ADD)
NUMERIC_FUNCTION(f_num_sub, NUMERIC_SUB)
NUMERIC_FUNCTION(f_num_mul, NUMERIC_MUL)
NUMERIC_FUNCTION(f_num_div, NUMERIC_DIV)
NUMERIC_FUNCTION(f_num_mod, NUMERIC_MOD)

static void round_numeric(sqlite3_context *cx, int n, sqlite3_value **args, enum numeric_rounding rounding)
{
    AUTO(buf) struct buf text = BUF_INIT(NUMBER_MAX);
    int64_t places = n > 1 ? sqlite3_value_int64(args[1]) : 0;

    if (db_any_null(n, args))
        return;
    places = places < 0 ? 0 : places > PGNUMERIC_DIGITS_MAX ? PGNUMERIC_DIGITS_MAX : places;
    dbnumber_finish(cx, pgnumeric_round(db_text_arg(args[0]), rounding, (unsigned)places, &text), &text);
}

static void f_num_round(ARGS)
{
    round_numeric(cx, n, args, NUMERIC_ROUND);
}

static void f_num_trunc(ARGS)
{
    round_numeric(cx, n, args, NUMERIC_TRUNC);
}

static void f_num_floor(ARGS)
{
    round_numeric(cx, n, args, NUMERIC_FLOOR);
}

static void f_num_ceil(ARGS)
{
    round_numeric(cx, n, args, NUMERIC_CEIL);
}

static void f_num_abs(ARGS)
{
    struct str s = db_text_arg(args[0]);

    if (!db_any_null(n, args))
        db_return_text(cx, str_starts(s, STR("-")) ? str_from(s, 1) : s);
}

static void f_real_round(ARGS)
{
    if (!db_any_null(n, args))
        sqlite3_result_double(cx, rint(sqlite3_value_double(args[0])));
}

/* ---- greatest, least: NULLs are passed over ---- */

static void extreme(sqlite3_context *cx, int n, sqlite3_value **args, int sign)
{
    enum pg_type type = (enum pg_type)sqlite3_value_int64(args[0]);
    sqlite3_value *best = NULL;

    for (int i = 1; i < n; i++) {
        if (sqlite3_value_type(args[i]) == SQLITE_NULL)
            continue;
        if (best == NULL || sign * db_compare(type, args[i], best) > 0)
            best = args[i];
    }
    if (best != NULL)
        sqlite3_result_value(cx, best);
}

static void f_greatest(ARGS)
{
    extreme(cx, n, args, 1);
}

static void f_least(ARGS)
{
    extreme(cx, n, args, -1);
}

/* ---- sums ---- */

struct sum {
    int64_t total;
    int64_t count;
    struct buf number; /* of decimals */
};

static void sum_step(ARGS)
{
    struct sum *s = sqlite3_aggregate_context(cx, sizeof *s);

    (void)n;
    if (s == NULL || sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    s->count++;
    if (__builtin_add_overflow(s->total, sqlite3_value_int64(args[0]), &s->total))
        db_refuse(cx, E_RANGE, "bigint out of range");
}

static void sum_final(sqlite3_context *cx)
{
    const struct sum *s = sqlite3_aggregate_context(cx, 0);

    if (s != NULL && s->count > 0)
        sqlite3_result_int64(cx, s->total);
}

/* avg of intervals */
static void avg_final(sqlite3_context *cx)
{
    const struct sum *s = sqlite3_aggregate_context(cx, 0);

    if (s != NULL && s->count > 0)
        sqlite3_result_int64(cx, s->total / s->count);
}

static void sum_num_step(ARGS)
{
    struct sum *s = sqlite3_aggregate_context(cx, sizeof *s);
    AUTO(buf) struct buf text = BUF_INIT(NUMBER_MAX);
    enum code code;

    (void)n;
    if (s == NULL || sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    if (s->number.limit == 0)
        buf_init(&s->number, NUMBER_MAX);
    s->count++;
    code = pgnumeric_compute(NUMERIC_ADD, s->number.n ? buf_str(&s->number) : STR("0"), db_text_arg(args[0]),
                             &text);
    buf_reset(&s->number);
    buf_append_str(&s->number, buf_str(&text));
    if (code != OK || !buf_ok(&s->number))
        db_refuse(cx, E_RANGE, "value overflows numeric format");
}

static void sum_num_final(sqlite3_context *cx)
{
    struct sum *s = sqlite3_aggregate_context(cx, 0);

    if (s == NULL)
        return;
    if (s->count > 0)
        db_return_buf(cx, &s->number);
    buf_fini(&s->number);
}

static void avg_num_final(sqlite3_context *cx)
{
    struct sum *s = sqlite3_aggregate_context(cx, 0);
    AUTO(buf) struct buf text = BUF_INIT(NUMBER_MAX);
    AUTO(buf) struct buf count = BUF_INIT(32);

    if (s == NULL)
        return;
    if (s->count > 0) {
        buf_printf(&count, "%lld", (long long)s->count);
        dbnumber_finish(cx, pgnumeric_compute(NUMERIC_DIV, buf_str(&s->number), buf_str(&count), &text),
                        &text);
    }
    buf_fini(&s->number);
}

const struct db_function db_number_functions[] = {
    { "pgseal_int_add", 3, f_int_add, NULL, NULL },
    { "pgseal_int_sub", 3, f_int_sub, NULL, NULL },
    { "pgseal_int_mul", 3, f_int_mul, NULL, NULL },
    { "pgseal_int_div", 3, f_int_div, NULL, NULL },
    { "pgseal_int_mod", 3, f_int_mod, NULL, NULL },
    { "pgseal_mod4", 2, f_mod4, NULL, NULL },
    { "pgseal_mod8", 2, f_mod8, NULL, NULL },
    { "pgseal_num_add", 2, f_num_add, NULL, NULL },
    { "pgseal_num_sub", 2, f_num_sub, NULL, NULL },
    { "pgseal_num_mul", 2, f_num_mul, NULL, NULL },
    { "pgseal_num_div", 2, f_num_div, NULL, NULL },
    { "pgseal_num_mod", 2, f_num_mod, NULL, NULL },
    { "pgseal_num_round", -1, f_num_round, NULL, NULL },
    { "pgseal_num_trunc", -1, f_num_trunc, NULL, NULL },
    { "pgseal_num_floor", 1, f_num_floor, NULL, NULL },
    { "pgseal_num_ceil", 1, f_num_ceil, NULL, NULL },
    { "pgseal_num_abs", 1, f_num_abs, NULL, NULL },
    { "pgseal_real_round", 1, f_real_round, NULL, NULL },
    { "pgseal_greatest", -1, f_greatest, NULL, NULL },
    { "pgseal_least", -1, f_least, NULL, NULL },
    { "pgseal_sum", 1, NULL, sum_step, sum_final },
    { "pgseal_avg", 1, NULL, sum_step, avg_final },
    { "pgseal_sum_num", 1, NULL, sum_num_step, sum_num_final },
    { "pgseal_avg_num", 1, NULL, sum_num_step, avg_num_final },
    { NULL, 0, NULL, NULL, NULL },
};
