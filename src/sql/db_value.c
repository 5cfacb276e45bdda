#include "sql/db_value.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/pginet.h"
#include "pgtypes/pgnumeric.h"
#include "sql/db_impl.h"

#include <pthread.h>
#include <stdio.h>

struct db *db_of(sqlite3_context *cx)
{
    return sqlite3_user_data(cx);
}

const struct db_context *db_context_of(sqlite3_context *cx)
{
    return db_of(cx)->cx;
}

void db_fail(sqlite3_context *cx, const struct err *why)
{
    db_of(cx)->failure = *why;
    sqlite3_result_error(cx, err_text(why), -1);
}

void db_refuse(sqlite3_context *cx, enum code code, const char *fmt, ...)
{
    struct db *db = db_of(cx);
    char text[sizeof db->failure.message];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)err_set(&db->failure, code, "%s", text);
    sqlite3_result_error(cx, text, -1);
}

struct str db_text_arg(sqlite3_value *value)
{
    const char *text = (const char *)sqlite3_value_text(value);

    return text == NULL ? str_of("", 0) : str_of(text, (size_t)sqlite3_value_bytes(value));
}

void db_return_text(sqlite3_context *cx, struct str text)
{
    sqlite3_result_text(cx, text.p, (int)text.n, SQLITE_TRANSIENT);
}

void db_return_fact(sqlite3_context *cx, struct str text)
{
    if (text.n > 0)
        db_return_text(cx, text);
}

void db_return_buf(sqlite3_context *cx, const struct buf *text)
{
    if (buf_ok(text))
        db_return_text(cx, buf_str(text));
    else
        sqlite3_result_error_toobig(cx);
}

bool db_any_null(int n, sqlite3_value **args)
{
    for (int i = 0; i < n; i++)
        if (sqlite3_value_type(args[i]) == SQLITE_NULL)
            return true;
    return false;
}

struct datum db_datum(sqlite3_value *value)
{
    struct datum d = { .kind = DATUM_NULL };

    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        return datum_int(sqlite3_value_int64(value));
    case SQLITE_FLOAT:
        d.kind = DATUM_REAL;
        d.real = sqlite3_value_double(value);
        return d;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        return datum_text(db_text_arg(value));
    default:
        return d;
    }
}

void db_return_datum(sqlite3_context *cx, const struct datum *value)
{
    switch (value->kind) {
    case DATUM_NULL:
        sqlite3_result_null(cx);
        return;
    case DATUM_INT:
        sqlite3_result_int64(cx, value->i);
        return;
    case DATUM_REAL:
        sqlite3_result_double(cx, value->real);
        return;
    case DATUM_TEXT:
        db_return_text(cx, value->text);
        return;
    }
    UNREACHABLE();
}

int db_collate_numeric(void *ctx, int an, const void *a, int bn, const void *b)
{
    (void)ctx;
    return pgnumeric_compare(str_of(a, (size_t)an), str_of(b, (size_t)bn));
}

int db_collate_inet(void *ctx, int an, const void *a, int bn, const void *b)
{
    struct str x = str_of(a, (size_t)an), y = str_of(b, (size_t)bn);
    struct pginet p, q;
    bool p_ok = pginet_read(x, &p), q_ok = pginet_read(y, &q);

    (void)ctx;
    if (p_ok && q_ok)
        return pginet_compare(&p, &q);
    return p_ok != q_ok ? (p_ok ? -1 : 1) : str_compare(x, y);
}

int db_compare(enum pg_type type, sqlite3_value *a, sqlite3_value *b)
{
    struct datum x = db_datum(a), y = db_datum(b);

    if (x.kind == DATUM_TEXT && y.kind == DATUM_TEXT) {
        if (type == PG_NUMERIC)
            return pgnumeric_compare(x.text, y.text);
        if (type == PG_INET)
            return db_collate_inet(NULL, (int)x.text.n, x.text.p, (int)y.text.n, y.text.p);
        return str_compare(x.text, y.text);
    }
    if (x.kind == DATUM_INT && y.kind == DATUM_INT)
        return x.i < y.i ? -1 : x.i > y.i;
    double p = sqlite3_value_double(a), q = sqlite3_value_double(b);
    return p < q ? -1 : p > q;
}
