/* The engine: opening, fencing, running. [src: SQLite, "Defense Against The Dark Arts"] */
#include "base/env.h"
#include "sql/db_impl.h"
#include "sql/db_value.h"
#include "sql/relation.h"
#include "sql/series.h"
#include "sql/stop.h"
#include "sql/vtab.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_STEPS = 2000, EXPR_DEPTH = 500, COMPOUND_MAX = 500, VARIABLES_MAX = 1024 };

struct db_stmt {
    struct db *db;
    sqlite3_stmt *stmt;
    const struct db_context *cx;
};

/* ---- the fence ---- */

static int sqlite_authorize(void *ctx, int action, const char *a, const char *b, const char *c, const char *d)
{
    const struct db *db = ctx;

    (void)a, (void)b, (void)c, (void)d;
    if (db->declaring)
        return SQLITE_OK;
    if (action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
        action == SQLITE_RECURSIVE)
        return SQLITE_OK;
    return SQLITE_DENY;
}

static bool is_canceled(const struct db_context *cx)
{
    return cx->canceled != NULL && cx->canceled(cx->canceled_arg);
}

static int progress(void *ctx)
{
    const struct db *db = ctx;
    const struct db_context *cx = db->cx;

    if (cx == NULL)
        return 0;
    if (is_canceled(cx))
        return 1;
    return cx->deadline_us != 0 && env_mono_us(cx->env) > cx->deadline_us;
}

static void limit(sqlite3 *sql)
{
    (void)sqlite3_limit(sql, SQLITE_LIMIT_LENGTH, DB_VALUE_MAX);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_SQL_LENGTH, DB_SQL_MAX);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_EXPR_DEPTH, EXPR_DEPTH);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_COMPOUND_SELECT, COMPOUND_MAX);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_VARIABLE_NUMBER, VARIABLES_MAX);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
    (void)sqlite3_limit(sql, SQLITE_LIMIT_WORKER_THREADS, 0);
    (void)sqlite3_db_config(sql, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    (void)sqlite3_db_config(sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(sql, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(sql, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
}

static bool register_functions(struct db *db, const struct db_function *f)
{
    for (; f->name != NULL; f++) {
        if (sqlite3_create_function_v2(db->sql, f->name, f->args, SQLITE_UTF8, db, f->call, f->step, f->final,
                                       NULL) != SQLITE_OK)
            return false;
    }
    return true;
}

static bool register_all(struct db *db)
{
    return register_functions(db, db->schema->functions) && register_functions(db, db_text_functions) &&
           register_functions(db, db_number_functions) && register_functions(db, db_array_functions) &&
           register_functions(db, db_time_functions) && register_functions(db, db_regex_functions) &&
           vtab_register(db) && series_register(db) &&
           sqlite3_create_collation(db->sql, "pgseal_numeric", SQLITE_UTF8, NULL, db_collate_numeric) ==
               SQLITE_OK &&
           sqlite3_create_collation(db->sql, "pgseal_inet", SQLITE_UTF8, NULL, db_collate_inet) == SQLITE_OK;
}

/* All sessions together: sorting a monstrous join ends in "out of memory" for its author only. */
static void limit_heap(void)
{
    (void)sqlite3_hard_heap_limit64(DB_HEAP_MAX);
}

struct db *db_open(const struct sql_schema *schema)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct db *db = calloc(1, sizeof *db);

    (void)pthread_once(&once, limit_heap);
    if (db == NULL)
        return NULL;
    db->schema = schema;
    if (sqlite3_open_v2(":memory:", &db->sql,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(db->sql, "PRAGMA temp_store=memory", NULL, NULL, NULL) != SQLITE_OK ||
        !register_all(db)) {
        db_close(db);
        return NULL;
    }
    limit(db->sql);
    (void)sqlite3_set_authorizer(db->sql, sqlite_authorize, db);
    sqlite3_progress_handler(db->sql, PROGRESS_STEPS, progress, db);
    return db;
}

void db_close(struct db *db)
{
    if (db == NULL)
        return;
    (void)sqlite3_close_v2(db->sql);
    free(db);
}

/* ---- statements ---- */

static enum code interrupted(const struct db_context *cx, struct err *e)
{
    if (is_canceled(cx))
        return statement_stopped(STOP_USER, e);
    return statement_stopped(cx->timeout_ms > 0 ? STOP_TIMEOUT : STOP_LIMIT, e);
}

static enum code db_failed(struct db *db, const struct db_context *cx, int rc, struct err *e)
{
    if (db->failure.code != OK) {
        *e = db->failure;
        db->failure.code = OK;
        return e->code;
    }
    if ((rc & 0xff) == SQLITE_INTERRUPT)
        return interrupted(cx, e);
    if ((rc & 0xff) == SQLITE_NOMEM)
        return err_set(e, E_NOMEM, "out of memory");
    if ((rc & 0xff) == SQLITE_TOOBIG)
        return err_set(e, E_LIMIT, "a value or the statement is too long for the status database");
    if (strstr(sqlite3_errmsg(db->sql), "integer overflow") != NULL)
        return err_set(e, E_RANGE, "bigint out of range");
    if (strstr(sqlite3_errmsg(db->sql), "stack overflow") != NULL ||
        strstr(sqlite3_errmsg(db->sql), "too many") != NULL ||
        strstr(sqlite3_errmsg(db->sql), "at most") != NULL)
        return err_set(e, E_COMPLEX, "statement is too complex");
    return err_set(e, E_INTERNAL, "internal error in the status database: %s", sqlite3_errmsg(db->sql));
}

enum code db_prepare(struct db *db, const struct db_context *cx, struct str sql, struct db_stmt **out,
                     struct err *e)
{
    struct db_stmt *stmt = calloc(1, sizeof *stmt);
    int rc;

    if (stmt == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    if (sql.n > DB_SQL_MAX) {
        free(stmt);
        return err_set(e, E_COMPLEX, "statement is too complex");
    }
    db->cx = cx;
    rc = sqlite3_prepare_v2(db->sql, sql.p, (int)sql.n, &stmt->stmt, NULL);
    if (rc != SQLITE_OK) {
        free(stmt);
        return db_failed(db, cx, rc, e);
    }
    stmt->db = db;
    stmt->cx = cx;
    *out = stmt;
    return OK;
}

void db_finalize(struct db_stmt *stmt)
{
    if (stmt == NULL)
        return;
    stmt->db->cx = NULL; /* the last step's is gone */
    (void)sqlite3_finalize(stmt->stmt);
    free(stmt);
}

void db_stmt_context(struct db_stmt *stmt, const struct db_context *cx)
{
    stmt->cx = cx;
}

enum code db_bind(struct db_stmt *stmt, unsigned i, const struct datum *value, struct err *e)
{
    int rc = SQLITE_OK;

    if (i > (unsigned)sqlite3_bind_parameter_count(stmt->stmt))
        return OK; /* declared, not used */
    switch (value->kind) {
    case DATUM_NULL:
        rc = sqlite3_bind_null(stmt->stmt, (int)i);
        break;
    case DATUM_INT:
        rc = sqlite3_bind_int64(stmt->stmt, (int)i, value->i);
        break;
    case DATUM_REAL:
        rc = sqlite3_bind_double(stmt->stmt, (int)i, value->real);
        break;
    case DATUM_TEXT:
        rc = sqlite3_bind_text(stmt->stmt, (int)i, value->text.p, (int)value->text.n, SQLITE_TRANSIENT);
        break;
    }
    return rc == SQLITE_OK ? OK : db_failed(stmt->db, stmt->cx, rc, e);
}

enum code db_step(struct db_stmt *stmt, bool *out_row, struct err *e)
{
    int rc;

    stmt->db->cx = stmt->cx;
    stmt->db->failure.code = OK;
    rc = sqlite3_step(stmt->stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return db_failed(stmt->db, stmt->cx, rc, e);
    *out_row = rc == SQLITE_ROW;
    return OK;
}

struct datum db_column(struct db_stmt *stmt, unsigned i, enum pg_type type)
{
    sqlite3_value *value = sqlite3_column_value(stmt->stmt, (int)i);
    int kind = sqlite3_value_type(value);
    struct datum d = { .kind = DATUM_NULL };

    if (type == PG_FLOAT8 && kind != SQLITE_NULL) {
        d.kind = DATUM_REAL;
        d.real = sqlite3_value_double(value);
        return d;
    }
    if (kind == SQLITE_TEXT) { /* as bytes: asked for as text it would be copied, to end it with a NUL */
        const char *text = sqlite3_value_blob(value);
        return datum_text(text ? str_of(text, (size_t)sqlite3_value_bytes(value)) : str_of("", 0));
    }
    return db_datum(value);
}
