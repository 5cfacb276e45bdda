/* Queries of tables/report.def as JSON. */
#include "clerk/report.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pgtypes/pgarray.h"
#include "pgtypes/pgtime.h"
#include "pgtypes/type.h"
#include "sql/db.h"
#include "sql/plan.h"
#include "sql/sql_parse.h"
#include "status/schema.h"
#include "status/vars.h"
#include "status/views.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum { VALUE_TEXT_MAX = 64 * 1024, ARRAY_ARENA_MAX = 1 << 20, REAL_DIGITS = 15 };

enum form { ROW, ROWS };

struct query {
    const char *name;
    enum form form;
    const char *sql;
};

static const struct query queries[] = {
#define X(name, form, sql) { name, form, sql },
#include "report.def"
#undef X
};

struct report {
    struct console_params self; /* a reader who may see everything and set nothing in motion */
    struct vars *vars;
    struct plan *plans[COUNT_OF(queries)];
    struct db *db; /* opened by the first run */
};

/* ---- making ---- */

static struct plan *plan_of(const struct query *query, int64_t now_us)
{
    const struct plan_context context = { .schema = status_schema(), .can_see_all = true, .now_us = now_us };
    struct plan *plan = plan_new();
    struct sql_error e = { 0 };
    struct stmt *stmt;

    if (plan == NULL)
        return NULL;
    enum code code = sql_parse(&plan->arena, str_c(query->sql), &stmt, &e);
    if (code == OK)
        code = plan_make(plan, stmt, &context, &e);
    CHECK(code == OK || code == E_NOMEM); /* the table's SQL is ours */
    if (code == OK)
        return plan;
    plan_free(plan);
    return NULL;
}

struct report *report_new(const struct env *env, int64_t started_us)
{
    struct report *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->self = (struct console_params){ .env = env, .can_see_all = true, .started_us = started_us };
    r->vars = vars_new();
    bool made = r->vars != NULL;
    for (size_t i = 0; made && i < COUNT_OF(queries); i++) {
        r->plans[i] = plan_of(&queries[i], env->now_unix_us(env->ctx));
        made = r->plans[i] != NULL;
    }
    if (made)
        return r;
    report_free(r);
    return NULL;
}

void report_free(struct report *report)
{
    if (report == NULL)
        return;
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        plan_free(report->plans[i]);
    vars_free(report->vars);
    db_close(report->db);
    free(report);
}

/* ---- values ---- */

static json_t *json_str(struct str text)
{
    return json_stringn(text.p, text.n);
}

/* [src: RFC 3339 §5.6] */
static json_t *json_time(int64_t unix_us)
{
    struct pgtime_fields f = pgtime_split(unix_us);

    if (unix_us == TIME_INFINITY || unix_us == TIME_MINUS_INFINITY || f.year < 0 || f.year > 9999)
        return json_null();
    return json_sprintf("%04d-%02u-%02uT%02u:%02u:%02d.%03dZ", (int)f.year, f.month, f.day, f.hour, f.minute,
                        (int)(f.us / 1000000), (int)(f.us % 1000000 / 1000));
}

/* Shares and sums are numbers; serial numbers and whatever else a double would round are texts. */
static json_t *json_numeric(struct str digits)
{
    char text[64], *end;

    if (!str_to_c(digits, text, sizeof text))
        return json_str(digits);
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || errno != 0 || !isfinite(value))
        return json_str(digits);
    if (value != floor(value))
        return json_real(value);
    return fabs(value) < 1e15 ? json_integer((json_int_t)value) : json_str(digits);
}

static json_t *json_array_of(struct str text)
{
    AUTO(arena) struct arena arena;
    struct pgarray items;
    struct err e;

    arena_init(&arena, ARRAY_ARENA_MAX, 512);
    if (pgarray_read(&arena, text, &items, &e) != OK)
        return NULL;
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < items.count; i++) {
        if (json_array_append_new(array, items.nulls[i] ? json_null() : json_str(items.items[i])) == 0)
            continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}

static json_t *json_text_form(enum pg_type type, const struct datum *value)
{
    AUTO(buf) struct buf text = BUF_INIT(VALUE_TEXT_MAX);

    pg_text_write(&text, type, value, &view_names);
    return buf_ok(&text) ? json_str(buf_str(&text)) : NULL;
}

static json_t *json_value(enum pg_type type, const struct datum *value)
{
    if (value->kind == DATUM_NULL)
        return json_null();
    if (value->kind == DATUM_REAL)
        return isfinite(value->real) ? json_real(value->real) : json_null();
    if (type == PG_TIMESTAMPTZ && value->kind == DATUM_INT)
        return json_time(value->i);
    if (type == PG_BOOL && value->kind == DATUM_INT)
        return json_boolean(value->i != 0);
    if (pg_type_def(type)->category == 'N' && value->kind == DATUM_INT)
        return json_integer(value->i);
    if (type == PG_NUMERIC && value->kind == DATUM_TEXT)
        return json_numeric(value->text);
    if (pg_type_def(type)->category == 'A' && value->kind == DATUM_TEXT)
        return json_array_of(value->text);
    return json_text_form(type, value);
}

/* ---- running ---- */

static json_t *json_row(const struct plan *plan, struct db_stmt *stmt)
{
    json_t *row = json_object();

    for (size_t i = 0; row != NULL && i < plan->column_count; i++) {
        const struct column *column = &plan->columns[i];
        struct datum value = db_column(stmt, (unsigned)i, column->type);
        char name[64];
        if (str_to_c(column->name, name, sizeof name) &&
            json_object_set_new(row, name, json_value(column->type, &value)) == 0)
            continue;
        json_decref(row);
        row = NULL;
    }
    return row;
}

static enum code report_no_memory(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* All rows of one query as an array (returned to caller, also when it is not complete). */
static enum code read_rows(struct report *r, const struct plan *plan, const struct db_context *cx,
                           json_t *out, struct err *e)
{
    struct db_stmt *stmt;
    bool row = true;

    TRY(db_prepare(r->db, cx, plan->sql, &stmt, e));
    enum code code = OK;
    while (code == OK && json_array_size(out) < REPORT_ROWS_MAX) {
        code = db_step(stmt, &row, e);
        if (code != OK || !row)
            break;
        if (json_array_append_new(out, json_row(plan, stmt)) != 0)
            code = report_no_memory(e);
    }
    db_finalize(stmt);
    return code;
}

static enum code put_query(struct report *r, size_t i, const struct db_context *cx, json_t *report,
                           struct err *e)
{
    json_t *rows = json_array();
    struct err why = { 0 };

    if (rows == NULL)
        return report_no_memory(e);
    enum code code = read_rows(r, r->plans[i], cx, rows, &why);
    json_t *value = rows;
    if (code != OK)
        value = json_null();
    else if (queries[i].form == ROW)
        value = json_array_size(rows) > 0 ? json_incref(json_array_get(rows, 0)) : json_null();
    if (value != rows)
        json_decref(rows);
    int put = json_object_set_new(report, queries[i].name, value);
    if (code != OK && put == 0)
        put = json_object_set_new(json_object_get(report, "errors"), queries[i].name,
                                  json_string(err_text(&why)));
    return put == 0 ? OK : report_no_memory(e);
}

static int append(const char *text, size_t n, void *arg)
{
    return buf_append_str(arg, str_of(text, n)) ? 0 : -1;
}

static enum code run_all(struct report *r, const struct db_context *cx, json_t *report, struct err *e)
{
    if (report == NULL || json_object_set_new(report, "errors", json_object()) != 0)
        return report_no_memory(e);
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        TRY(put_query(r, i, cx, report, e));
    return OK;
}

enum code report_run(struct report *report, const struct report_request *request, struct buf *out,
                     struct err *e)
{
    const struct env *env = report->self.env;
    struct status_context cx = {
        .db.env = env,
        .db.now_us = env->now_unix_us(env->ctx),
        .db.deadline_us = env_mono_us(env) + request->budget_us,
        .self = &report->self,
        .vars = report->vars,
        .rows = request->rows,
    };

    report->self.loaded_us = request->loaded_us;
    if (report->db == NULL)
        report->db = db_open(status_schema());
    if (report->db == NULL)
        return report_no_memory(e);
    json_t *object = json_object();
    enum code code = run_all(report, &cx.db, object, e);
    if (code == OK &&
        json_dump_callback(object, append, out, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) != 0)
        code = err_set(e, E_LIMIT, "the report is longer than %zu bytes", out->limit);
    json_decref(object);
    return code;
}
