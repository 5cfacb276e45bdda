/**
 * What the files of the console share. Everyone else includes console.h.
 */
#ifndef PGSEAL_STATUS_CONSOLE_IMPL_H
#define PGSEAL_STATUS_CONSOLE_IMPL_H

#include "base/buf.h"
#include "status/clerk_wire.h"
#include "status/console.h"
#include "status/statement.h"
#include "status/vars.h"

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

/* ---- console_portal.c ---- */

/* ---- console_query.c ---- */

/* ---- console_extended.c ---- */

#endif
