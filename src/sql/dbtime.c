/* Functions on times and intervals. */
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pgtypes/pgtime.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"

#include <stdlib.h>

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args

static int64_t floor_to(int64_t us, int64_t unit)
{
    int64_t rest = us % unit;

    return us - (rest < 0 ? rest + unit : rest);
}

static void f_now(ARGS)
{
    (void)n, (void)args;
    sqlite3_result_int64(cx, db_of(cx)->cx->now_us);
}

static void f_clock(ARGS)
{
    const struct env *env = db_of(cx)->cx->env;

    (void)n, (void)args;
    sqlite3_result_int64(cx, env->now_unix_us(env->ctx));
}

static void f_today(ARGS)
{
    (void)n, (void)args;
    sqlite3_result_int64(cx, floor_to(db_of(cx)->cx->now_us, USECS_PER_DAY) / USECS_PER_DAY);
}

static void f_to_timestamp(ARGS)
{
    double s = sqlite3_value_double(args[0]);

    if (db_any_null(n, args))
        return;
    if (!(s > -9e12 && s < 9e12))
        db_refuse(cx, E_FIELD_RANGE, "timestamp out of range: \"%g\"", s);
    else
        sqlite3_result_int64(cx, (int64_t)(s * 1e6));
}

/* AT TIME ZONE: only UTC and its other names, and then nothing changes. */
static void f_timezone(ARGS)
{
    struct str zone = db_text_arg(args[0]);

    if (db_any_null(n, args))
        return;
    if (str_equal_nocase(zone, STR("utc")) || str_equal_nocase(zone, STR("gmt")) ||
        str_equal_nocase(zone, STR("etc/utc")) || str_equal_nocase(zone, STR("z")))
        sqlite3_result_value(cx, args[1]);
    else
        db_refuse(cx, E_UNSUPPORTED, "the status database shows times in UTC only");
}

static void f_date_trunc(ARGS)
{
    struct str unit = db_text_arg(args[0]);
    int64_t us = sqlite3_value_int64(args[1]), out;
    struct pgtime_fields f = pgtime_split(us);

    if (db_any_null(n, args))
        return;
    if (str_equal_nocase(unit, STR("second")))
        out = floor_to(us, USECS_PER_SEC);
    else if (str_equal_nocase(unit, STR("minute")))
        out = floor_to(us, 60 * USECS_PER_SEC);
    else if (str_equal_nocase(unit, STR("hour")))
        out = floor_to(us, 3600 * USECS_PER_SEC);
    else if (str_equal_nocase(unit, STR("day")))
        out = floor_to(us, USECS_PER_DAY);
    else if (str_equal_nocase(unit, STR("week"))) /* 1970-01-01 was a Thursday */
        out = floor_to(us + 3 * USECS_PER_DAY, 7 * USECS_PER_DAY) - 3 * USECS_PER_DAY;
    else if (str_equal_nocase(unit, STR("month")))
        out = pgtime_days(f.year, f.month, 1) * USECS_PER_DAY;
    else if (str_equal_nocase(unit, STR("year")))
        out = pgtime_days(f.year, 1, 1) * USECS_PER_DAY;
    else {
        db_refuse(cx, E_PARAM, "unit \"%.*s\" not recognized for type timestamp with time zone",
                  STR_ARG(unit));
        return;
    }
    sqlite3_result_int64(cx, out);
}

/* ---- extract ---- */

/* A part as microseconds or as a whole number; the number of decimals that PostgreSQL shows. */
struct part {
    int64_t value;
    unsigned decimals; /* value is in units of 10^-decimals */
};

static bool time_part(struct str name, int64_t us, struct part *out)
{
    struct pgtime_fields f = pgtime_split(us);
    const struct {
        const char *name;
        struct part part;
    } parts[] = {
        { "epoch", { us, 6 } },
        { "second", { f.us, 6 } },
        { "microseconds", { f.us, 0 } },
        { "minute", { f.minute, 0 } },
        { "hour", { f.hour, 0 } },
        { "day", { f.day, 0 } },
        { "month", { f.month, 0 } },
        { "year", { f.year, 0 } },
        { "dow", { ((floor_to(us, USECS_PER_DAY) / USECS_PER_DAY) % 7 + 11) % 7, 0 } },
        { "isodow", { ((floor_to(us, USECS_PER_DAY) / USECS_PER_DAY) % 7 + 10) % 7 + 1, 0 } },
    };

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (str_equal_nocase(name, str_c(parts[i].name))) {
            *out = parts[i].part;
            return true;
        }
    }
    return false;
}

static bool interval_part(struct str name, int64_t us, struct part *out)
{
    int64_t rest = us % USECS_PER_DAY;
    const struct {
        const char *name;
        struct part part;
    } parts[] = {
        { "epoch", { us, 6 } },
        { "day", { us / USECS_PER_DAY, 0 } },
        { "hour", { rest / (3600 * USECS_PER_SEC), 0 } },
        { "minute", { rest / (60 * USECS_PER_SEC) % 60, 0 } },
        { "second", { rest % (60 * USECS_PER_SEC), 6 } },
        { "microseconds", { rest % (60 * USECS_PER_SEC), 0 } },
    };

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        if (str_equal_nocase(name, str_c(parts[i].name))) {
            *out = parts[i].part;
            return true;
        }
    }
    return false;
}

static bool find_part(sqlite3_context *cx, sqlite3_value **args, bool interval, struct part *out)
{
    struct str name = db_text_arg(args[0]);
    int64_t us = sqlite3_value_int64(args[1]);

    if (db_any_null(2, args))
        return false;
    if (interval ? interval_part(name, us, out) : time_part(name, us, out))
        return true;
    db_refuse(cx, E_PARAM, "unit \"%.*s\" not recognized for type %s", STR_ARG(name),
              interval ? "interval" : "timestamp with time zone");
    return false;
}

static void extract(sqlite3_context *cx, sqlite3_value **args, bool interval)
{
    AUTO(buf) struct buf text = BUF_INIT(64);
    struct part part;
    int64_t unit = 1;

    if (!find_part(cx, args, interval, &part))
        return;
    for (unsigned i = 0; i < part.decimals; i++)
        unit *= 10;
    buf_printf(&text, "%s%lld", part.value < 0 ? "-" : "", llabs(part.value / unit));
    if (part.decimals > 0)
        buf_printf(&text, ".%0*lld", (int)part.decimals, llabs(part.value % unit));
    db_return_buf(cx, &text);
}

static void date_part(sqlite3_context *cx, sqlite3_value **args, bool interval)
{
    struct part part;

    if (find_part(cx, args, interval, &part))
        sqlite3_result_double(cx, part.decimals == 6 ? (double)part.value / 1e6 : (double)part.value);
}

static void f_extract(ARGS)
{
    (void)n;
    extract(cx, args, false);
}

static void f_extract_interval(ARGS)
{
    (void)n;
    extract(cx, args, true);
}

static void f_date_part(ARGS)
{
    (void)n;
    date_part(cx, args, false);
}

static void f_date_part_interval(ARGS)
{
    (void)n;
    date_part(cx, args, true);
}

static void scale_interval(sqlite3_context *cx, sqlite3_value **args, bool divide)
{
    double by = sqlite3_value_double(args[1]), v;

    if (db_any_null(2, args))
        return;
    if (divide && !(by < 0) && !(by > 0)) {
        db_refuse(cx, E_DIVISION, "division by zero");
        return;
    }
    v = divide ? (double)sqlite3_value_int64(args[0]) / by : (double)sqlite3_value_int64(args[0]) * by;
    if (!(v > -9.2e18 && v < 9.2e18))
        db_refuse(cx, E_FIELD_RANGE, "interval out of range");
    else
        sqlite3_result_int64(cx, (int64_t)v);
}

static void f_interval_mul(ARGS)
{
    (void)n;
    scale_interval(cx, args, false);
}

static void f_interval_div(ARGS)
{
    (void)n;
    scale_interval(cx, args, true);
}

const struct db_function db_time_functions[] = {
    { "pgseal_now", 0, f_now, NULL, NULL },
    { "pgseal_clock", 0, f_clock, NULL, NULL },
    { "pgseal_today", 0, f_today, NULL, NULL },
    { "pgseal_to_timestamp", 1, f_to_timestamp, NULL, NULL },
    { "pgseal_timezone", 2, f_timezone, NULL, NULL },
    { "pgseal_date_trunc", 2, f_date_trunc, NULL, NULL },
    { "pgseal_extract", 2, f_extract, NULL, NULL },
    { "pgseal_extract_interval", 2, f_extract_interval, NULL, NULL },
    { "pgseal_date_part", 2, f_date_part, NULL, NULL },
    { "pgseal_date_part_interval", 2, f_date_part_interval, NULL, NULL },
    { "pgseal_interval_mul", 2, f_interval_mul, NULL, NULL },
    { "pgseal_interval_div", 2, f_interval_div, NULL, NULL },
    { NULL, 0, NULL, NULL, NULL },
};
