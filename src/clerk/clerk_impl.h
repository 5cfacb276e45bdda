/**
 * What the files of the clerk share. Everyone else includes clerk.h.
 */
#ifndef PGSEAL_CLERK_CLERK_IMPL_H
#define PGSEAL_CLERK_CLERK_IMPL_H

#include "base/buf.h"
#include "clerk/clerk.h"
#include "sql/db.h"
#include "sql/plan.h"
#include "status/clerk_rows.h"
#include "status/clerk_wire.h"
#include "status/schema.h"

#include <sys/queue.h>

/** The columns of a result. */
struct clerk_columns {
    const struct str *names;
    const enum pg_type *types;
    size_t count;
};

/** A statement that has begun and not ended. */
struct open_statement {
    uint64_t id;
    struct buf request; /* texts of all that follows are borrowed from it */
    struct arena arena;
    struct console_params self;
    struct vars *vars;
    struct row_source rows;
    struct clerk_columns columns;
    struct copy_options copy;
    bool has_header; /* COPY's line of names is still to be written */
    struct db_stmt *stmt;
    int64_t now_us;
    size_t held; /* bytes, as counted in clerk->held */
    LIST_ENTRY(open_statement) next;
};

struct report;

struct clerk {
    struct clerk_host host;
    struct db *db;
    struct report *report; /* made by the first one */
    LIST_HEAD(, open_statement) open;
    size_t held; /* bytes of all of them */
};

/* ---- plan.c ---- */

/* ---- run.c ---- */

/* ---- copy.c ---- */

#endif
