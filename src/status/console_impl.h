/**
 * What the files of the console share. Everyone else includes console.h.
 */
#ifndef PGSEAL_STATUS_CONSOLE_IMPL_H
#define PGSEAL_STATUS_CONSOLE_IMPL_H

#include "base/buf.h"
#include "sql/vars.h"
#include "status/clerk_wire.h"
#include "status/console.h"
#include "status/statement.h"

#include <sys/queue.h>

enum {
    NAME_MAX_BYTES = 63,
    SAVEPOINTS_MAX = 64,
    QUERY_SHOWN_MAX = 1024,
    OUT_DRAIN_AT = 64 * 1024,
    PREPARED_BUCKETS = 256
};

/** A statement with its parameters, perhaps half read; cursors are portals too. */
struct portal {
    char name[NAME_MAX_BYTES + 1];
    const struct statement *statement; /* a reference to its batch */
    struct arena arena;                /* parameters and formats */
    struct datum *params;
    size_t param_count;
    enum pg_format *formats; /* one per column; NULL: all text */
    struct clerk_open *open; /* while the clerk may have it */
    struct row_source rows;  /* until they are sent to the clerk */
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
    struct batch *batch; /* of one statement; a reference */
    LIST_ENTRY(prepared) next;
};

/** Statements of a simple Query, one after the other. */
struct script {
    bool active;
    bool block;          /* of several statements: they are one transaction, as far as cursors care */
    struct batch *batch; /* a reference; NULL before it is planned */
    size_t next;         /* of its statements */
};

enum job_kind {
    JOB_SCRIPT, /* plan a simple Query */
    JOB_PARSE,  /* plan a prepared statement */
    JOB_ROWS
};

struct console_job {
    struct console *console;
    enum job_kind kind;
    struct batch *batch;                   /* to be planned; taken back by who finishes the job */
    enum pg_type params[CLERK_PARAMS_MAX]; /* as the client declared them */
    size_t param_count;
    struct portal *portal;         /* whose rows are read */
    const enum pg_format *formats; /* of the asking portal, for FETCH */
    enum row_form form;
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
    struct clerk_line line;
    struct buf in;
    struct script script;
    LIST_HEAD(, prepared) statements[PREPARED_BUCKETS]; /* by name */
    size_t prepared_size;                               /* bytes of them */
    LIST_HEAD(, portal) portals;
    size_t portal_count;
    uint32_t portal_number; /* the last one's */
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
/** The statement's batch is referenced. */
MUST_CHECK enum code portal_new(struct console *c, struct str name, const struct statement *statement,
                                struct portal **out, struct err *e);
/** It gives no more rows: its snapshot goes. */
void portal_stop(struct console *c, struct portal *portal);
void portal_free(struct console *c, struct portal *portal);
/** All of them, or all but those that outlive a transaction. */
void portal_free_all(struct console *c, bool also_held);
struct prepared *prepared_find(struct console *c, struct str name);
/** `batch` is taken. */
MUST_CHECK enum code prepared_add(struct console *c, struct batch *batch, struct err *e);
void prepared_free(struct console *c, struct prepared *p);
void prepared_free_all(struct console *c);
/** RowDescription, or NoData. */
void portal_describe(struct buf *out, const struct statement *statement, const enum pg_format *formats);
/** The statement whose columns are returned: itself, or for FETCH the cursor's; NULL when there are none. */
const struct statement *console_result_of(struct console *c, const struct statement *statement);

/* ---- console_query.c ---- */

/** Run a portal: either at once, or by setting up c->job and c->wait. */
void console_execute(struct console *c, struct portal *portal, int64_t limit, bool describe, struct buf *out);
/** Set up c->job to have a batch planned, which is taken. */
void console_plan(struct console *c, enum job_kind kind, struct batch *batch);
/** Begin a simple Query; it has been planned; take its next statement. */
void console_script_begin(struct console *c, struct str text, struct buf *out);
void console_script_planned(struct console *c, struct buf *out);
void console_script_step(struct console *c, struct buf *out);
void console_script_end(struct console *c, struct buf *out);
/** Outside a transaction block, a transaction begins when the message came: after console_show_query(). */
void console_mark_time(struct console *c);
/** Such a statement is heard in a failed transaction too. */
bool console_ends_failure(enum stmt_kind kind);
/** In a failed transaction only its end is heard. False, and reported, for everything else. */
bool console_may_run(struct console *c, enum stmt_kind kind, struct buf *out);
/** The job has run: write what it found. */
void console_job_finish(struct console *c, struct buf *out);

/* ---- console_extended.c ---- */

void console_parse(struct console *c, struct bytes body, struct buf *out);
/** The clerk has looked at it. */
void console_parsed(struct console *c, struct buf *out);
void console_bind(struct console *c, struct bytes body, struct buf *out);
void console_describe(struct console *c, struct bytes body, struct buf *out);
void console_run_portal(struct console *c, struct bytes body, struct buf *out);
void console_close_named(struct console *c, struct bytes body, struct buf *out);

#endif
