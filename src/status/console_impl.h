/**
 * What the files of the console share. Everyone else includes console.h.
 */
#ifndef PGSEAL_STATUS_CONSOLE_IMPL_H
#define PGSEAL_STATUS_CONSOLE_IMPL_H

#include "base/buf.h"
#include "sql/db.h"
#include "sql/plan.h"
#include "sql/vars.h"
#include "status/console.h"

#include <sys/queue.h>

enum { NAME_MAX_BYTES = 63, SAVEPOINTS_MAX = 64, QUERY_SHOWN_MAX = 1024, OUT_DRAIN_AT = 64 * 1024 };

/** What a client wants to see of a row. */
enum row_form { ROW_DATA, ROW_COPY, ROW_NONE };

/** A statement with its parameters, perhaps half read; cursors are portals too. */
struct portal {
    char name[NAME_MAX_BYTES + 1];
    struct plan *plan;
    struct arena arena; /* parameters and formats */
    struct datum *params;
    size_t param_count;
    enum pg_format *formats; /* one per column; NULL: all text */
    struct db_stmt *stmt;    /* NULL: not begun, or done */
    struct row_source rows;
    bool has_rows;
    bool begun;
    bool done;
    bool cursor;
    bool hold;
    int64_t used_us;
    int64_t now_us;
    LIST_ENTRY(portal) next;
};

struct prepared {
    struct plan *plan;
    LIST_ENTRY(prepared) next;
};

/** Statements of a simple Query, one after the other. */
struct script {
    bool active;
    bool block; /* of several statements: they are one transaction, as far as cursors care */
    struct arena arena;
    struct str text;
    struct stmt *next;
};

struct console_job {
    struct console *console;
    struct portal *portal;         /* whose rows are read */
    const enum pg_format *formats; /* of the asking portal, for FETCH */
    enum row_form form;
    const struct copy_options *copy;
    const char *tag; /* of the CommandComplete: "SELECT", "FETCH", "MOVE", "COPY", "SHOW" */
    bool counts;     /* the tag has a number */
    int64_t limit;   /* rows; INT64_MAX: all */
    bool suspends;   /* PortalSuspended when the limit is reached */
    int64_t rows;    /* so far */
    struct buf out;  /* messages for the client */
    bool end;        /* the statement has no more rows */
    bool more;       /* it has: run again when the client has taken what there is */
    struct err err;
};

struct savepoint {
    char name[NAME_MAX_BYTES + 1];
};

enum console_wait { WAIT_NOTHING, WAIT_JOB, WAIT_DRAIN };
enum transaction { TRANSACTION_IDLE = 'I', TRANSACTION_OPEN = 'T', TRANSACTION_FAILED = 'E' };

struct console {
    struct console_params params; /* texts in `arena` */
    struct arena arena;
    struct vars *vars;
    struct db *db; /* opened by the first job */
    struct buf in;
    struct script script;
    LIST_HEAD(, prepared) statements;
    LIST_HEAD(, portal) portals;
    size_t statement_count;
    size_t portal_count;
    enum console_wait wait;
    enum transaction transaction;
    bool skip_to_sync;            /* an extended query has failed */
    bool over;                    /* Terminate, or a fatal error */
    struct savepoint *savepoints; /* SAVEPOINTS_MAX */
    size_t savepoint_count;
    struct console_times times;
    struct portal *unnamed_run; /* a script's portal, freed when its statement is done */
    struct console_job job;
    atomic_bool canceled;
    struct buf shown; /* the last query's text */
};

/* ---- console.c ---- */

/**
 * Report an error: ErrorResponse, transaction state, and either the end of the script or skipping to Sync.
 */
void console_error(struct console *c, const struct sql_error *e, struct str text, struct buf *out);
void console_error_plain(struct console *c, const struct err *e, struct buf *out);
void console_complete(struct buf *out, const char *tag);
void console_warn(struct buf *out, enum code code, const char *text);
/** The answer is complete: portals of the moment end, changed settings are told, ReadyForQuery. */
void console_ready(struct console *c, struct buf *out);
/** A message begins to be worked on: what it is about, for pg_stat_activity. */
void console_show_query(struct console *c, struct str text);
int64_t console_now(const struct console *c);

/* ---- console_portal.c ---- */

struct portal *portal_find(struct console *c, struct str name);
/** `plan` is referenced. An unnamed or same-named portal is replaced only where `replace`. */
MUST_CHECK enum code portal_new(struct console *c, struct str name, struct plan *plan, struct portal **out,
                                struct err *e);
void portal_free(struct console *c, struct portal *portal);
/** All of them, or all but those that outlive a transaction. */
void portal_free_all(struct console *c, bool also_held);
struct prepared *prepared_find(struct console *c, struct str name);
/** `plan` is taken. */
MUST_CHECK enum code prepared_add(struct console *c, struct plan *plan, struct err *e);
void prepared_free(struct console *c, struct prepared *p);
/** RowDescription, or NoData. */
void portal_describe(struct buf *out, const struct plan *plan, const enum pg_format *formats);
/**
 * The plan whose columns a statement returns: its own, or for FETCH the cursor's; NULL when it returns none.
 */
const struct plan *console_result_plan(struct console *c, const struct plan *plan);

/* ---- console_query.c ---- */

/** Run a portal: either at once, or by setting up c->job and c->wait. */
void console_execute(struct console *c, struct portal *portal, int64_t limit, bool describe, struct buf *out);
/** Begin a simple Query, and take its next statement. */
void console_script_begin(struct console *c, struct str text, struct buf *out);
void console_script_step(struct console *c, struct buf *out);
void console_script_end(struct console *c, struct buf *out);
/** Outside a transaction block, a transaction begins when the message came: after console_show_query(). */
void console_mark_time(struct console *c);
/** In a failed transaction only its end is heard. False, and reported, for everything else. */
bool console_may_run(struct console *c, const struct stmt *stmt, struct buf *out);
/** The job has run: write what it found. */
void console_job_finish(struct console *c, struct buf *out);

/* ---- console_extended.c ---- */

void console_parse(struct console *c, struct bytes body, struct buf *out);
void console_bind(struct console *c, struct bytes body, struct buf *out);
void console_describe(struct console *c, struct bytes body, struct buf *out);
void console_run_portal(struct console *c, struct bytes body, struct buf *out);
void console_close_named(struct console *c, struct bytes body, struct buf *out);

/* ---- console_copy.c ---- */

void copy_begin(struct buf *out, const struct plan *plan);
void copy_header(struct buf *out, const struct plan *plan, const struct copy_options *options);
/** One row as CopyData. `texts` and `nulls` per column. */
void copy_row(struct buf *out, const struct copy_options *options, struct db_stmt *stmt,
              const struct plan *plan);

#endif
