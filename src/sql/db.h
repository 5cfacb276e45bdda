/**
 * SQLite in memory, fenced: it reads our virtual tables, calls our functions, and nothing else.
 *
 * One struct db serves all sessions, a statement at a time; each statement has its own context. No statement writes (the authorizer
 * refuses everything but reading), none runs past its deadline (progress handler), none grows without bound
 * (limits).
 */
#ifndef PGSEAL_SQL_DB_H
#define PGSEAL_SQL_DB_H

#include "base/err.h"
#include "pgtypes/pgtypes.h"

struct db;
struct db_stmt;
struct env;
struct sql_schema;

/** What a statement runs under. Borrowed by db_step(); the schema is handed it back. */
struct db_context {
    const struct env *env;
    int64_t now_us;              /* of the transaction */
    int64_t deadline_us;         /* env's monotonic clock */
    int64_t timeout_ms;          /* for the message: statement_timeout, or 0 when the deadline is ours */
    bool (*canceled)(void *arg); /* asked now and then; NULL: never. Once true it stays so */
    void *canceled_arg;
    struct buf *notices; /* receives NoticeResponse messages; may be NULL */
};

enum { DB_SQL_MAX = 1 << 20, DB_VALUE_MAX = 1 << 20, DB_HEAP_MAX = 256 << 20 };

/** schema: borrowed, constant. NULL when memory ran out. */
struct db *db_open(const struct sql_schema *schema);
void db_close(struct db *db);

/** `cx` is borrowed until the statement is given another one. */
MUST_CHECK enum code db_prepare(struct db *db, const struct db_context *cx, struct str sql,
                                struct db_stmt **out, struct err *e);
void db_finalize(struct db_stmt *stmt);
/** What the next steps borrow. */
void db_stmt_context(struct db_stmt *stmt, const struct db_context *cx);
/** Parameter `i` from 1. */
MUST_CHECK enum code db_bind(struct db_stmt *stmt, unsigned i, const struct datum *value, struct err *e);
/** *out_row is false at the end. E_CANCELED for deadline and cancel. */
MUST_CHECK enum code db_step(struct db_stmt *stmt, bool *out_row, struct err *e);
/** Column `i` from 0 of the present row; text is valid until the next step. */
struct datum db_column(struct db_stmt *stmt, unsigned i, enum pg_type type);

#endif
