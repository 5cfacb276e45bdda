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

/** 'P' */
MUST_CHECK bool clerk_plan(struct bytes body, struct buf *out);

/* ---- run.c ---- */

/** 'R': body is taken. 'N'. 'C'. */
MUST_CHECK bool clerk_run(struct clerk *clerk, struct buf *body, struct buf *out);
MUST_CHECK bool clerk_go_on(struct clerk *clerk, struct bytes body, struct buf *out);
MUST_CHECK bool clerk_forget(struct clerk *clerk, struct bytes body);
void clerk_end(struct clerk *clerk, struct open_statement *open);

/* ---- copy.c ---- */

void copy_header(struct buf *out, const struct clerk_columns *columns, const struct copy_options *options);
/** One row as CopyData. */
void copy_row(struct buf *out, const struct copy_options *options, struct db_stmt *stmt,
              const struct clerk_columns *columns);

#endif
