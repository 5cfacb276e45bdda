/**
 * A live server, asked through libpq: one connection, read only, every answer awaited for a bounded time.
 *
 * Statements name all that they use with its schema, and the search path holds pg_catalog alone: what users of
 * the server have made plays no part. [src: PostgreSQL 18, "Asynchronous Command Processing", CVE-2018-1058]
 */
#ifndef PGSEAL_AUDIT_LIVE_H
#define PGSEAL_AUDIT_LIVE_H

#include "base/err.h"

struct arena;
struct live;

/** The answer to one statement, row by row. A text whose `p` is NULL is SQL's NULL. */
struct live_rows {
    const struct str *cells;
    size_t n, columns;
};

/**
 * Connect and settle the session.
 *
 * conninfo  borrowed; as psql takes it.
 * arena     borrowed; owns all texts that come of it.
 * out       set on OK; free with live_close().
 *
 * E_CONNECT with libpq's words; E_UNSUPPORTED: no PostgreSQL, or one older than 12; E_NOMEM.
 */
MUST_CHECK enum code live_open(const char *conninfo, struct arena *arena, struct live **out, struct err *e);
/** NULL is fine. */
void live_close(struct live *live);
void live_auto(struct live **live);

/** Major version of the server. */
unsigned live_version(const struct live *live);
/** Its minor version. */
unsigned live_minor(const struct live *live);
/** Where it was reached: a host or an address, empty over a unix socket. */
struct str live_host(const struct live *live);
/** As text. */
struct str live_port(const struct live *live);

/**
 * Ask.
 *
 * what  for messages: "the settings".
 * out   set on OK.
 *
 * E_ACCESS: the role may not; E_UNDEFINED: this server has no such thing; E_PARAM: any other error of the
 * server's, a statement that took too long among them; after these three the session goes on. E_CLOSED: the
 * server went away, or fell silent; E_LIMIT: the answer is too long; E_NOMEM. `e` has the server's words.
 */
MUST_CHECK enum code live_ask(struct live *live, const char *what, const char *sql, struct live_rows *out,
                              struct err *e);

/** A cell; empty where it is NULL or not there. */
struct str live_cell(const struct live_rows *rows, size_t row, size_t column);
/** "t". */
bool live_true(const struct live_rows *rows, size_t row, size_t column);
/** 0 where it is no number. */
unsigned live_number(const struct live_rows *rows, size_t row, size_t column);

#endif
