/**
 * A session of the status database after authentication, as bytes in and bytes out.
 *
 * It speaks PostgreSQL's simple and extended protocol: the caller feeds what the client sent and sends what
 * `out` holds. Statements are read and run by the clerk (status/clerk_wire.h), as jobs: the caller collects the
 * rows that a job needs, runs it on the one SQL thread, which asks the clerk, and comes back. Everything but
 * console_job_run() and console_cancel() belongs to the session's own thread.
 *
 *   step = console_feed(c, bytes, out)
 *   CONSOLE_MORE   send out; feed when the client has sent more
 *   CONSOLE_DRAIN  send out; when it is gone: step = console_next(c, out)
 *   CONSOLE_JOB    job = console_job(c); collect the views of console_job_views(job);
 *                  console_job_rows(job, source); on the SQL thread console_job_run(job);
 *                  back here: step = console_next(c, out)
 *   CONSOLE_WAIT   only from console_feed while a job runs or out drains: the bytes are kept, nothing to do
 *   CONSOLE_DONE   send out, then close
 *
 * [src: PostgreSQL 18, "Message Flow"]
 */
#ifndef PGSEAL_STATUS_CONSOLE_H
#define PGSEAL_STATUS_CONSOLE_H

#include "base/err.h"
#include "status/rows.h"
#include "status/session.h"

struct buf;
struct clerk_line;
struct console;
struct console_job;

enum console_step { CONSOLE_MORE, CONSOLE_DRAIN, CONSOLE_JOB, CONSOLE_WAIT, CONSOLE_DONE };

enum {
    CONSOLE_MESSAGE_MAX = 1 << 20,      /* length word of any message from the client */
    CONSOLE_DEADLINE_MS_DEFAULT = 5000, /* of one statement, while it runs */
    CONSOLE_PORTALS_MAX = 16,           /* for each of them the clerk may hold a snapshot of rows */
    CONSOLE_PREPARED_MAX = 4 << 20      /* bytes of all prepared statements of a session */
};

/** line: to the clerk; copied, what it means outlives the console. NULL when memory ran out. */
struct console *console_new(const struct console_params *params, const struct clerk_line *line);
/**
 * Not while a job runs on the SQL thread: console_cancel() first, and wait for the job to come back.
 * Rows given to jobs are released.
 */
void console_free(struct console *console);

/**
 * Write what follows AuthenticationOk up to and without BackendKeyData and ReadyForQuery: ParameterStatus
 * for everything a client expects.
 */
void console_greet(struct console *console, struct buf *out);

/**
 * Take bytes from the client; all of them are taken. May be called at any time; while a job runs or `out`
 * drains they only wait. `out` receives whole messages. When `out` or memory fails: CONSOLE_DONE.
 */
enum console_step console_feed(struct console *console, struct bytes in, struct buf *out);
/** Go on after CONSOLE_JOB (the job has run) or CONSOLE_DRAIN (`out` is empty). */
enum console_step console_next(struct console *console, struct buf *out);

/** The job to run after CONSOLE_JOB; borrowed. */
struct console_job *console_job(struct console *console);

/** From any thread, at any time during the console's life: the running statement ends with 57014. */
void console_cancel(struct console *console);
/** 'I', 'T' or 'E'. */
char console_transaction_state(const struct console *console);
/**
 * The statement being run or run last, for pg_stat_activity; borrowed until the next call into the console.
 */
struct str console_last_query(const struct console *console);

/** Microseconds since 1970; 0: not yet. */
struct console_times {
    int64_t transaction_us; /* of the transaction that runs or ran last */
    int64_t query_us;       /* of that statement */
    int64_t state_us;       /* the session became active, or idle */
};

struct console_times console_times_of(const struct console *console);

#endif
