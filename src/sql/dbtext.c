/* Functions on text, casts, and the small helpers that emitted SQL uses. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pgtime.h"
#include "pgtypes/type.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"
#include "sql/relation.h"

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

enum { TEXT_MAX = DB_VALUE_MAX, CAST_ARENA_MAX = 16 << 20 };

/* ---- casts ---- */

static bool type_arg(sqlite3_value *value, enum pg_type *out)
{
    int64_t v = sqlite3_value_int64(value);

    if (v < 0 || v >= PG_TYPE_COUNT)
        return false;
    *out = (enum pg_type)v;
    return true;
}

static bool is_integer(enum pg_type type)
{
    return type == PG_INT2 || type == PG_INT4 || type == PG_INT8 || pg_is_oid(type) || type == PG_XID;
}

static void out_of_range(sqlite3_context *cx, enum pg_type type)
{
    db_refuse(cx, E_RANGE, "%s out of range", pg_type_def(type)->label);
}

static void return_integer(sqlite3_context *cx, enum pg_type to, int64_t v)
{
    if ((to == PG_INT2 && (v < INT16_MIN || v > INT16_MAX)) ||
        (to == PG_INT4 && (v < INT32_MIN || v > INT32_MAX)) ||
        ((pg_is_oid(to) || to == PG_XID) && (v < INT32_MIN || v > UINT32_MAX)))
        out_of_range(cx, to);
    else
        sqlite3_result_int64(cx, pg_is_oid(to) || to == PG_XID ? (int64_t)(uint32_t)v : v);
}

/* Round half to even, as a cast from double precision does. */
static void real_to_integer(sqlite3_context *cx, enum pg_type to, double v)
{
    double rounded = __builtin_rint(v);

    if (!(rounded >= -9223372036854775808.0 && rounded < 9223372036854775808.0))
        out_of_range(cx, to);
    else
        return_integer(cx, to, (int64_t)rounded);
}

static int64_t floor_days(int64_t us)
{
    return us / USECS_PER_DAY - (us % USECS_PER_DAY < 0 ? 1 : 0);
}

/* Through text: how numeric, inet, arrays and everything from and to text is converted. */
static void cast_by_text(sqlite3_context *cx, enum pg_type from, enum pg_type to, const struct datum *value)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    struct arena arena;
    const struct pg_relations *relations = db_of(cx)->schema->names;
    struct pg_input input = { &arena, db_of(cx)->cx->now_us, relations };
    struct datum out;
    struct err why = { 0 };

    if (from == PG_BOOL && pg_type_def(to)->category == 'S')
        buf_append_c(&text, value->i ? "true" : "false");
    else
        pg_text_write(&text, from, value, relations);
    /* A cast always tells the mask, other than what a client is shown. */
    if (from == PG_INET && pg_type_def(to)->category == 'S' && str_find(buf_str(&text), '/') == text.n)
        (void)buf_append_c(&text, str_find(buf_str(&text), ':') < text.n ? "/128" : "/32");
    if (!buf_ok(&text)) {
        sqlite3_result_error_toobig(cx);
        return;
    }
    arena_init(&arena, CAST_ARENA_MAX, 256);
    if (pg_text_read(&input, to, buf_str(&text), &out, &why) == OK)
        db_return_datum(cx, &out);
    else
        db_refuse(cx, why.code, "%s", err_text(&why));
    arena_fini(&arena);
}

static void numeric_to_integer(sqlite3_context *cx, enum pg_type to, struct str text);

/* pgseal_cast(value, from, to) */
static void f_cast(ARGS)
{
    enum pg_type from, to;
    struct datum value = db_datum(args[0]);

    (void)n;
    if (value.kind == DATUM_NULL || !type_arg(args[1], &from) || !type_arg(args[2], &to))
        return;
    if (value.kind == DATUM_REAL && is_integer(to)) {
        real_to_integer(cx, to, value.real);
    } else if (from == PG_NUMERIC && is_integer(to)) {
        numeric_to_integer(cx, to, value.text);
    } else if (value.kind == DATUM_INT && is_integer(from) && is_integer(to)) {
        return_integer(cx, to, value.i);
    } else if (value.kind == DATUM_INT && to == PG_FLOAT8) {
        sqlite3_result_double(cx, (double)value.i);
    } else if (value.kind == DATUM_INT && (from == PG_BOOL || to == PG_BOOL) &&
               (is_integer(from) || is_integer(to))) {
        sqlite3_result_int64(cx, to == PG_BOOL ? value.i != 0 : value.i);
    } else if (to == PG_DATE && (from == PG_TIMESTAMP || from == PG_TIMESTAMPTZ)) {
        sqlite3_result_int64(cx, floor_days(value.i));
    } else if (from == PG_DATE && (to == PG_TIMESTAMP || to == PG_TIMESTAMPTZ)) {
        sqlite3_result_int64(cx, value.i * USECS_PER_DAY);
    } else {
        cast_by_text(cx, from, to, &value);
    }
}

static void numeric_to_integer(sqlite3_context *cx, enum pg_type to, struct str text)
{
    int64_t v;
    size_t point = str_find(text, '.');
    bool up = point + 1 < text.n && text.p[point + 1] >= '5';
    bool negative = str_starts(text, STR("-"));

    if (!str_to_i64(str_first(text, point), INT64_MIN, INT64_MAX, &v) ||
        (up && __builtin_add_overflow(v, negative ? -1 : 1, &v)))
        out_of_range(cx, to);
    else
        return_integer(cx, to, v);
}

/* pgseal_real('text'): SQLite would read some spellings of a double as an integer. */
static void f_real(ARGS)
{
    struct pg_input input = { NULL, 0, NULL };
    struct datum value;

    (void)n;
    if (pg_text_read(&input, PG_FLOAT8, db_text_arg(args[0]), &value, NULL) == OK)
        sqlite3_result_double(cx, value.real);
}

/* ---- LIMIT, OFFSET, subqueries as values ---- */

static void f_limit(ARGS)
{
    (void)n;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        sqlite3_result_int64(cx, -1);
    else if (sqlite3_value_int64(args[0]) < 0)
        db_refuse(cx, E_ROW_COUNT, "LIMIT must not be negative");
    else
        sqlite3_result_int64(cx, sqlite3_value_int64(args[0]));
}

static void f_offset(ARGS)
{
    (void)n;
    if (sqlite3_value_int64(args[0]) < 0)
        db_refuse(cx, E_OFFSET, "OFFSET must not be negative");
    else
        sqlite3_result_int64(cx, sqlite3_value_int64(args[0]));
}

struct single {
    bool any;
    sqlite3_value *value;
};

static void single_step(ARGS)
{
    struct single *s = sqlite3_aggregate_context(cx, sizeof *s);

    (void)n;
    if (s == NULL)
        return;
    if (s->any) {
        db_refuse(cx, E_CARDINALITY, "more than one row returned by a subquery used as an expression");
        return;
    }
    s->any = true;
    s->value = sqlite3_value_dup(args[0]);
}

static void single_final(sqlite3_context *cx)
{
    struct single *s = sqlite3_aggregate_context(cx, 0);

    if (s == NULL || s->value == NULL)
        return;
    sqlite3_result_value(cx, s->value);
    sqlite3_value_free(s->value);
}

/* ---- LIKE ---- */

static char fold(char c, bool any_case)
{
    return any_case && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t char_size(struct str s)
{
    size_t n = 1;

    while (n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* One pass: a % remembers where to go on when the rest does not fit, so time is at most |s| × |pattern|. */
static bool like(struct str s, struct str pattern, bool any_case)
{
    struct str retry_s = { 0 }, retry_pattern = { 0 };
    bool can_retry = false;

    for (;;) {
        if (pattern.n > 0 && pattern.p[0] == '%') {
            pattern = str_from(pattern, 1);
            retry_pattern = pattern;
            retry_s = s;
            can_retry = true;
            continue;
        }
        bool any = pattern.n > 0 && pattern.p[0] == '_';
        size_t skip = pattern.n > 1 && pattern.p[0] == '\\' ? 1 : 0;
        if (s.n == 0 && pattern.n == 0)
            return true;
        if (s.n > 0 && pattern.n > 0 && (any || fold(s.p[0], any_case) == fold(pattern.p[skip], any_case))) {
            s = str_from(s, any ? char_size(s) : 1);
            pattern = str_from(pattern, skip + 1);
            continue;
        }
        if (!can_retry || retry_s.n == 0)
            return false;
        retry_s = str_from(retry_s, char_size(retry_s));
        s = retry_s;
        pattern = retry_pattern;
    }
}

/* pgseal_like(text, pattern, any_case, negated) */
static void f_like(ARGS)
{
    if (!db_any_null(n, args))
        sqlite3_result_int(cx, like(db_text_arg(args[0]), db_text_arg(args[1]),
                                    sqlite3_value_int(args[2]) != 0) != (sqlite3_value_int(args[3]) != 0));
}

/* ---- pieces of text, counted in characters ---- */

static size_t count_chars(struct str s)
{
    size_t n = 0;

    for (; s.n > 0; n++)
        s = str_from(s, char_size(s));
    return n;
}

/* Characters [from, to), clipped. */
static struct str slice(struct str s, int64_t from, int64_t to)
{
    size_t start;
    int64_t i = 0;
    struct str rest = s;

    for (; rest.n > 0 && i < from; i++)
        rest = str_from(rest, char_size(rest));
    start = s.n - rest.n;
    for (; rest.n > 0 && i < to; i++)
        rest = str_from(rest, char_size(rest));
    return str_of(s.p + start, s.n - rest.n - start);
}

/* substr(text, from [, count]), from counted from 1 and allowed to be less. */
static void f_substr(ARGS)
{
    int64_t from, to = INT64_MAX;

    if (db_any_null(n, args))
        return;
    from = sqlite3_value_int64(args[1]) - 1;
    if (n > 2) {
        int64_t count = sqlite3_value_int64(args[2]);
        if (count < 0) {
            db_refuse(cx, E_SUBSTRING, "negative substring length not allowed");
            return;
        }
        to = from + count;
    }
    db_return_text(cx, slice(db_text_arg(args[0]), from, to));
}

static void f_left(ARGS)
{
    struct str s = db_text_arg(args[0]);
    int64_t count = sqlite3_value_int64(args[1]);

    if (!db_any_null(n, args))
        db_return_text(cx, slice(s, 0, count < 0 ? (int64_t)count_chars(s) + count : count));
}

static void f_right(ARGS)
{
    struct str s = db_text_arg(args[0]);
    int64_t count = sqlite3_value_int64(args[1]);

    if (!db_any_null(n, args))
        db_return_text(cx, slice(s, count < 0 ? -count : (int64_t)count_chars(s) - count, INT64_MAX));
}

static bool has_char(struct str set, struct str c)
{
    for (; set.n > 0; set = str_from(set, char_size(set)))
        if (str_equal(str_first(set, char_size(set)), c))
            return true;
    return false;
}

static struct str trim(struct str s, struct str set, bool left, bool right)
{
    while (left && s.n > 0 && has_char(set, str_first(s, char_size(s))))
        s = str_from(s, char_size(s));
    while (right && s.n > 0) {
        size_t last = s.n - 1;
        while (last > 0 && ((unsigned char)s.p[last] & 0xC0) == 0x80)
            last--;
        if (!has_char(set, str_from(s, last)))
            break;
        s.n = last;
    }
    return s;
}

static void trimmed(sqlite3_context *cx, int n, sqlite3_value **args, int sides)
{
    if (!db_any_null(n, args))
        db_return_text(cx, trim(db_text_arg(args[0]), n > 1 ? db_text_arg(args[1]) : STR(" "),
                                (sides & 1) != 0, (sides & 2) != 0));
}

static void f_btrim(ARGS)
{
    trimmed(cx, n, args, 3);
}

static void f_ltrim(ARGS)
{
    trimmed(cx, n, args, 1);
}

static void f_rtrim(ARGS)
{
    trimmed(cx, n, args, 2);
}

static void f_octet_length(ARGS)
{
    if (!db_any_null(n, args))
        sqlite3_result_int64(cx, (int64_t)db_text_arg(args[0]).n);
}

static void f_starts_with(ARGS)
{
    if (!db_any_null(n, args))
        sqlite3_result_int(cx, str_starts(db_text_arg(args[0]), db_text_arg(args[1])));
}

static size_t find_text(struct str s, struct str what)
{
    const char *at = s.n ? memmem(s.p, s.n, what.p, what.n) : NULL;

    return at != NULL ? (size_t)(at - s.p) : s.n;
}

/* split_part(text, separator, field) */
static void f_split_part(ARGS)
{
    struct str rest, separator;
    int64_t field;

    if (db_any_null(n, args))
        return;
    rest = db_text_arg(args[0]);
    separator = db_text_arg(args[1]);
    field = sqlite3_value_int64(args[2]);
    if (field < 1 || separator.n == 0) {
        if (field < 1)
            db_refuse(cx, E_PARAM, "field position must be greater than zero");
        else
            db_return_text(cx, field == 1 ? rest : STR(""));
        return;
    }
    for (; field > 1; field--) {
        size_t at = find_text(rest, separator);
        rest = at < rest.n ? str_from(rest, at + separator.n) : str_from(rest, rest.n);
        if (rest.n == 0)
            break;
    }
    db_return_text(cx, str_first(rest, find_text(rest, separator)));
}

static void join_texts(sqlite3_context *cx, int n, sqlite3_value **args, struct str between)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    bool any = false;

    for (int i = 0; i < n; i++) {
        if (sqlite3_value_type(args[i]) == SQLITE_NULL)
            continue;
        if (any)
            buf_append_str(&text, between);
        buf_append_str(&text, db_text_arg(args[i]));
        any = true;
    }
    db_return_buf(cx, &text);
}

static void f_concat(ARGS)
{
    join_texts(cx, n, args, STR(""));
}

static void f_concat_ws(ARGS)
{
    if (sqlite3_value_type(args[0]) != SQLITE_NULL)
        join_texts(cx, n - 1, args + 1, db_text_arg(args[0]));
}

static void f_quote_ident(ARGS)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    struct str s = db_text_arg(args[0]);
    bool plain = s.n > 0 && !(s.p[0] >= '0' && s.p[0] <= '9');

    if (db_any_null(n, args))
        return;
    for (size_t i = 0; i < s.n; i++)
        plain = plain &&
                ((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_');
    if (plain) {
        db_return_text(cx, s);
        return;
    }
    buf_append_byte(&text, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_append_byte(&text, '"');
        buf_append_byte(&text, (uint8_t)s.p[i]);
    }
    buf_append_byte(&text, '"');
    db_return_buf(cx, &text);
}

/* Half up to the next unit from 10 of the next on [src: pg_size_pretty]. */
static void f_size_pretty(ARGS)
{
    static const char *const names[] = { "bytes", "kB", "MB", "GB", "TB", "PB" };
    AUTO(buf) struct buf text = BUF_INIT(64);
    int64_t v = sqlite3_value_int64(args[0]), size;
    size_t unit = 0;

    if (db_any_null(n, args) || v == INT64_MIN)
        return;
    size = v < 0 ? -v : v;
    for (bool half = false; unit + 1 < COUNT_OF(names) && size >= (half ? 20479 : 10240); half = true) {
        size = half ? size / 1024 : size / 512;
        unit++;
    }
    if (unit > 0)
        size = (size + 1) / 2;
    buf_printf(&text, "%s%lld %s", v < 0 ? "-" : "", (long long)size, names[unit]);
    db_return_buf(cx, &text);
}

/* ---- string_agg ---- */

struct joined {
    struct buf text;
    bool any;
};

static void string_agg_step(ARGS)
{
    struct joined *j = sqlite3_aggregate_context(cx, sizeof *j);

    (void)n;
    if (j == NULL || sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    if (j->text.limit == 0)
        buf_init(&j->text, TEXT_MAX);
    if (j->any)
        buf_append_str(&j->text, db_text_arg(args[1]));
    buf_append_str(&j->text, db_text_arg(args[0]));
    j->any = true;
    if (!buf_ok(&j->text))
        sqlite3_result_error_toobig(cx);
}

static void string_agg_final(sqlite3_context *cx)
{
    struct joined *j = sqlite3_aggregate_context(cx, 0);

    if (j == NULL)
        return;
    if (j->any)
        db_return_buf(cx, &j->text);
    buf_fini(&j->text);
}

const struct db_function db_text_functions[] = {
    { "pgseal_cast", 3, f_cast, NULL, NULL },
    { "pgseal_real", 1, f_real, NULL, NULL },
    { "pgseal_limit", 1, f_limit, NULL, NULL },
    { "pgseal_offset", 1, f_offset, NULL, NULL },
    { "pgseal_single", 1, NULL, single_step, single_final },
    { "pgseal_like", 4, f_like, NULL, NULL },
    { "pgseal_substr", -1, f_substr, NULL, NULL },
    { "pgseal_left", 2, f_left, NULL, NULL },
    { "pgseal_right", 2, f_right, NULL, NULL },
    { "pgseal_btrim", -1, f_btrim, NULL, NULL },
    { "pgseal_ltrim", -1, f_ltrim, NULL, NULL },
    { "pgseal_rtrim", -1, f_rtrim, NULL, NULL },
    { "pgseal_octet_length", 1, f_octet_length, NULL, NULL },
    { "pgseal_starts_with", 2, f_starts_with, NULL, NULL },
    { "pgseal_split_part", 3, f_split_part, NULL, NULL },
    { "pgseal_concat", -1, f_concat, NULL, NULL },
    { "pgseal_concat_ws", -1, f_concat_ws, NULL, NULL },
    { "pgseal_quote_ident", 1, f_quote_ident, NULL, NULL },
    { "pgseal_size_pretty", 1, f_size_pretty, NULL, NULL },
    { "pgseal_string_agg", 2, NULL, string_agg_step, string_agg_final },
    { NULL, 0, NULL, NULL, NULL },
};
