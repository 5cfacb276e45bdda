/**
 * What the files around SQLite share. Everyone else includes db.h.
 */
#ifndef PGSEAL_SQL_DB_IMPL_H
#define PGSEAL_SQL_DB_IMPL_H

#include "sql/db.h"

#include <sqlite3.h>

struct db {
    sqlite3 *sql;
    const struct db_context *cx; /* of the statement that runs now */
    bool declaring;              /* a view's columns, in xConnect */
    struct err failure;          /* what a function or a view has refused; code OK: nothing */
};

struct db_function {
    const char *name;
    int args; /* -1: any number */
    void (*call)(sqlite3_context *, int, sqlite3_value **);
    void (*step)(sqlite3_context *, int, sqlite3_value **);
    void (*final)(sqlite3_context *);
};

/* Each room of functions ends its table with a row of NULLs. */
extern const struct db_function db_session_functions[];
extern const struct db_function db_text_functions[];
extern const struct db_function db_number_functions[];
extern const struct db_function db_array_functions[];
extern const struct db_function db_time_functions[];
extern const struct db_function db_regex_functions[];

/** Register all views. False when memory ran out. */
bool vtab_register(struct db *db);
/** Register generate_series() and unnest(), likewise. */
bool series_register(struct db *db);

struct db *db_of(sqlite3_context *cx);
/** End the statement with an error of ours. */
void db_refuse(sqlite3_context *cx, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** The argument as text, without copying; empty for NULL. */
struct str db_text_arg(sqlite3_value *value);
void db_return_text(sqlite3_context *cx, struct str text);
/** NULL for an empty text. */
void db_return_fact(sqlite3_context *cx, struct str text);
/** The contents of a buf, or the error that it is too long. */
void db_return_buf(sqlite3_context *cx, const struct buf *text);
/** True, with a NULL result, when one of the arguments is NULL. */
bool db_any_null(sqlite3_context *cx, int n, sqlite3_value **args);
struct datum db_datum(sqlite3_value *value);
void db_return_datum(sqlite3_context *cx, const struct datum *value);
/** Compare two values of one type. */
int db_compare(enum pg_type type, sqlite3_value *a, sqlite3_value *b);
/** True when rows of other users' sessions and privileged settings may be shown. */
bool db_can_see_all(const struct db *db);
/** The rows a view has now. */
MUST_CHECK enum code db_row_count(struct db *db, enum view view, size_t *out, struct err *e);

#endif
