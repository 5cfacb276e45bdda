/* Functions on arrays and network addresses. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/pginet.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

enum { ARRAY_ARENA_MAX = 32 << 20, ARRAY_TEXT_MAX = DB_VALUE_MAX };

/* Read an array argument; false (and refused) when it is none. arena_fini() is the caller's. */
static bool read_array(sqlite3_context *cx, struct arena *arena, sqlite3_value *value, struct pgarray *out)
{
    struct err why = { 0 };

    if (pgarray_read(arena, db_text_arg(value), out, &why) == OK)
        return true;
    db_refuse(cx, why.code, "%s", err_text(&why));
    return false;
}

/* pgseal_array(item, …) */
static void f_array(ARGS)
{
    AUTO(buf) struct buf text = BUF_INIT(ARRAY_TEXT_MAX);
    struct arena arena;
    struct str *items;
    bool *nulls;

    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    items = arena_array(&arena, (size_t)n, sizeof *items);
    nulls = arena_array(&arena, (size_t)n, sizeof *nulls);
    if (items != NULL && nulls != NULL) {
        for (int i = 0; i < n; i++) {
            nulls[i] = sqlite3_value_type(args[i]) == SQLITE_NULL;
            items[i] = db_text_arg(args[i]);
        }
        pgarray_write(&text, items, nulls, (size_t)n);
        db_return_buf(cx, &text);
    } else {
        sqlite3_result_error_nomem(cx);
    }
    arena_fini(&arena);
}

/* An element as text; where the array is one of numbers, the typer has put a cast around the call. */
static void f_array_get(ARGS)
{
    struct arena arena;
    struct pgarray array;
    int64_t i = sqlite3_value_int64(args[1]);

    if (db_any_null(n, args))
        return;
    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    if (read_array(cx, &arena, args[0], &array) && i >= 1 && (uint64_t)i <= array.count &&
        !array.nulls[i - 1])
        db_return_text(cx, array.items[i - 1]);
    arena_fini(&arena);
}

static void array_size(sqlite3_context *cx, sqlite3_value *value, bool null_when_empty)
{
    struct arena arena;
    struct pgarray array;

    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    if (read_array(cx, &arena, value, &array) && !(null_when_empty && array.count == 0))
        sqlite3_result_int64(cx, (int64_t)array.count);
    arena_fini(&arena);
}

static void f_array_length(ARGS)
{
    if (!db_any_null(n, args) && sqlite3_value_int(args[1]) == 1)
        array_size(cx, args[0], true);
}

static void f_cardinality(ARGS)
{
    if (!db_any_null(n, args))
        array_size(cx, args[0], false);
}

static void f_array_to_string(ARGS)
{
    AUTO(buf) struct buf text = BUF_INIT(ARRAY_TEXT_MAX);
    struct arena arena;
    struct pgarray array;
    bool any = false;

    if (db_any_null(2, args))
        return;
    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    if (read_array(cx, &arena, args[0], &array)) {
        for (size_t i = 0; i < array.count; i++) {
            if (array.nulls[i] && n < 3)
                continue;
            if (any)
                buf_append_str(&text, db_text_arg(args[1]));
            buf_append_str(&text, array.nulls[i] ? db_text_arg(args[2]) : array.items[i]);
            any = true;
        }
        db_return_buf(cx, &text);
    }
    arena_fini(&arena);
}

static void f_array_cat(ARGS)
{
    AUTO(buf) struct buf text = BUF_INIT(ARRAY_TEXT_MAX);
    struct str a = db_text_arg(args[0]), b = db_text_arg(args[1]);
    bool a_empty = a.n < 3, b_empty = b.n < 3; /* {} */

    if (sqlite3_value_type(args[0]) == SQLITE_NULL || sqlite3_value_type(args[1]) == SQLITE_NULL) {
        sqlite3_result_value(cx, args[sqlite3_value_type(args[0]) == SQLITE_NULL ? 1 : 0]);
        return;
    }
    (void)n;
    buf_append_str(&text, a_empty ? STR("{") : str_first(a, a.n - 1));
    if (!a_empty && !b_empty)
        buf_append_byte(&text, ',');
    buf_append_str(&text, b_empty ? STR("}") : str_from(b, 1));
    db_return_buf(cx, &text);
}

static bool has_item(const struct pgarray *array, struct str item)
{
    for (size_t i = 0; i < array->count; i++)
        if (!array->nulls[i] && str_equal(array->items[i], item))
            return true;
    return false;
}

enum array_test { ARRAY_CONTAINS, ARRAY_OVERLAPS };

static void test_arrays(sqlite3_context *cx, sqlite3_value *left, sqlite3_value *right, enum array_test test)
{
    struct arena arena;
    struct pgarray a, b;
    bool all = true, any = false;

    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    if (read_array(cx, &arena, left, &a) && read_array(cx, &arena, right, &b)) {
        for (size_t i = 0; i < b.count; i++) {
            bool found = !b.nulls[i] && has_item(&a, b.items[i]);
            all = all && found;
            any = any || found;
        }
        sqlite3_result_int(cx, test == ARRAY_CONTAINS ? all : any);
    }
    arena_fini(&arena);
}

static void f_array_contains(ARGS)
{
    if (!db_any_null(n, args))
        test_arrays(cx, args[0], args[1], ARRAY_CONTAINS);
}

static void f_array_contained(ARGS)
{
    if (!db_any_null(n, args))
        test_arrays(cx, args[1], args[0], ARRAY_CONTAINS);
}

static void f_array_overlaps(ARGS)
{
    if (!db_any_null(n, args))
        test_arrays(cx, args[0], args[1], ARRAY_OVERLAPS);
}

/* ---- ANY and ALL: pgseal_any(value, array, operator, all, type) ---- */

static int compare_item(sqlite3_value *value, struct str item)
{
    struct datum v = db_datum(value);
    int64_t i;

    if (v.kind == DATUM_INT && str_to_i64(item, INT64_MIN, INT64_MAX, &i))
        return v.i < i ? -1 : v.i > i;
    return str_compare(db_text_arg(value), item);
}

static bool holds(int op, int order)
{
    switch (op) {
    case 0:
        return order == 0;
    case 1:
        return order != 0;
    case 2:
        return order < 0;
    case 3:
        return order > 0;
    case 4:
        return order <= 0;
    default:
        return order >= 0;
    }
}

static void f_any(ARGS)
{
    struct arena arena;
    struct pgarray array;
    int op = sqlite3_value_int(args[2]);
    bool all = sqlite3_value_int(args[3]) != 0, unknown = false, decided = false;

    if (db_any_null(n, args))
        return;
    if (op > 5) {
        db_refuse(cx, E_UNSUPPORTED, "LIKE ANY is not supported in the status database");
        return;
    }
    arena_init(&arena, ARRAY_ARENA_MAX, 1024);
    if (read_array(cx, &arena, args[1], &array)) {
        for (size_t i = 0; i < array.count && !decided; i++) {
            if (array.nulls[i])
                unknown = true;
            else
                decided = holds(op, compare_item(args[0], array.items[i])) != all;
        }
        if (decided || !unknown)
            sqlite3_result_int(cx, decided != all);
    }
    arena_fini(&arena);
}

/* ---- array_agg ---- */

struct gathered {
    struct buf text;
};

static void array_agg_step(ARGS)
{
    struct gathered *g = sqlite3_aggregate_context(cx, sizeof *g);
    AUTO(buf) struct buf one = BUF_INIT(ARRAY_TEXT_MAX);
    struct str item = db_text_arg(args[0]);
    bool is_null = sqlite3_value_type(args[0]) == SQLITE_NULL;

    (void)n;
    if (g == NULL)
        return;
    if (g->text.limit == 0)
        buf_init(&g->text, ARRAY_TEXT_MAX);
    pgarray_write(&one, &item, &is_null, 1);
    buf_append_byte(&g->text, g->text.n > 0 ? ',' : '{');
    if (one.n >= 2)
        buf_append(&g->text, bytes_of(one.p + 1, one.n - 2));
    if (!buf_ok(&g->text) || !buf_ok(&one))
        sqlite3_result_error_toobig(cx);
}

static void array_agg_final(sqlite3_context *cx)
{
    struct gathered *g = sqlite3_aggregate_context(cx, 0);

    if (g == NULL)
        return;
    if (g->text.n > 0) {
        buf_append_byte(&g->text, '}');
        db_return_buf(cx, &g->text);
    }
    buf_fini(&g->text);
}

/* ---- addresses ---- */

static bool read_inet(sqlite3_context *cx, sqlite3_value *value, struct pginet *out)
{
    if (pginet_read(db_text_arg(value), out))
        return true;
    db_refuse(cx, E_TEXT_REP, "invalid input syntax for type inet: \"%.*s\"", STR_ARG(db_text_arg(value)));
    return false;
}

/* pgseal_inet_op(a, b, operator): << <<= >> >>= && */
static void f_inet_op(ARGS)
{
    struct pginet a, b;
    bool out = false;

    if (db_any_null(n, args) || !read_inet(cx, args[0], &a) || !read_inet(cx, args[1], &b))
        return;
    switch (sqlite3_value_int(args[2])) {
    case 0:
        out = pginet_within(&a, &b, true);
        break;
    case 1:
        out = pginet_within(&a, &b, false);
        break;
    case 2:
        out = pginet_within(&b, &a, true);
        break;
    case 3:
        out = pginet_within(&b, &a, false);
        break;
    default:
        out = pginet_within(&a, &b, false) || pginet_within(&b, &a, false);
    }
    sqlite3_result_int(cx, out);
}

static void f_host(ARGS)
{
    struct str s = db_text_arg(args[0]);

    if (!db_any_null(n, args))
        db_return_text(cx, str_first(s, str_find(s, '/')));
}

static void f_family(ARGS)
{
    struct pginet inet;

    if (!db_any_null(n, args) && read_inet(cx, args[0], &inet))
        sqlite3_result_int(cx, inet.v6 ? 6 : 4);
}

static void f_masklen(ARGS)
{
    struct pginet inet;

    if (!db_any_null(n, args) && read_inet(cx, args[0], &inet))
        sqlite3_result_int(cx, inet.prefix);
}

const struct db_function db_array_functions[] = {
    { "pgseal_array", -1, f_array, NULL, NULL },
    { "pgseal_array_get", 2, f_array_get, NULL, NULL },
    { "pgseal_array_length", 2, f_array_length, NULL, NULL },
    { "pgseal_cardinality", 1, f_cardinality, NULL, NULL },
    { "pgseal_array_to_string", -1, f_array_to_string, NULL, NULL },
    { "pgseal_array_cat", 2, f_array_cat, NULL, NULL },
    { "pgseal_array_contains", 2, f_array_contains, NULL, NULL },
    { "pgseal_array_contained", 2, f_array_contained, NULL, NULL },
    { "pgseal_array_overlaps", 2, f_array_overlaps, NULL, NULL },
    { "pgseal_any", 5, f_any, NULL, NULL },
    { "pgseal_array_agg", 1, NULL, array_agg_step, array_agg_final },
    { "pgseal_inet_op", 3, f_inet_op, NULL, NULL },
    { "pgseal_host", 1, f_host, NULL, NULL },
    { "pgseal_family", 1, f_family, NULL, NULL },
    { "pgseal_masklen", 1, f_masklen, NULL, NULL },
    { NULL, 0, NULL, NULL, NULL },
};
