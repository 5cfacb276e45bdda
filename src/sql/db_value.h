/**
 * Arguments and results of functions and views in SQLite.
 */
#ifndef PGSEAL_SQL_DB_VALUE_H
#define PGSEAL_SQL_DB_VALUE_H

#include "sql/db.h"
#include "sql/db_function.h"

struct db *db_of(sqlite3_context *cx);
/** What the statement that calls the function runs under. */
const struct db_context *db_context_of(sqlite3_context *cx);
/** End the statement with this error. */
void db_fail(sqlite3_context *cx, const struct err *why);
/** End the statement with an error of ours. */
void db_refuse(sqlite3_context *cx, enum code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/** The argument as text, without copying; empty for NULL. */
struct str db_text_arg(sqlite3_value *value);
void db_return_text(sqlite3_context *cx, struct str text);
/** NULL for an empty text. */
void db_return_fact(sqlite3_context *cx, struct str text);
/** The contents of a buf, or the error that it is too long. */
void db_return_buf(sqlite3_context *cx, const struct buf *text);
/** Is one of the arguments NULL? A function that then returns nothing has returned NULL. */
bool db_any_null(int n, sqlite3_value **args);
struct datum db_datum(sqlite3_value *value);
void db_return_datum(sqlite3_context *cx, const struct datum *value);
/** SQLite collations over canonical texts. */
int db_collate_numeric(void *ctx, int an, const void *a, int bn, const void *b);
int db_collate_inet(void *ctx, int an, const void *a, int bn, const void *b);
/** Compare two values of one type. */
int db_compare(enum pg_type type, sqlite3_value *a, sqlite3_value *b);

#endif
