/**
 * Rows of views on their way from the gate to the clerk.
 *
 * The gate sends the rows that the asking session may see, and no others; of what may be seen in part (somebody
 * else's line of pg_stat_activity, a setting's file) it sends that part. The clerk finds in them what a
 * row_source gives.
 */
#ifndef PGSEAL_STATUS_CLERK_ROWS_H
#define PGSEAL_STATUS_CLERK_ROWS_H

#include "base/arena.h"
#include "base/rd.h"
#include "base/wr.h"
#include "status/rows.h"
#include "status/session.h"

struct clerk_rows;

/**
 * Append the rows of `views`.
 *
 * reader  its user, is_admin and can_see_all decide.
 * source  borrowed; a view that it cannot count travels as that error.
 */
void clerk_put_rows(struct wr *w, const struct console_params *reader, struct row_source *source,
                    uint64_t views);
/** Texts are borrowed from the body, all else lives in `arena`. NULL, or r->bad: no memory, or malformed. */
struct clerk_rows *clerk_take_rows(struct rd *r, struct arena *arena);
/** Lives as long as the rows; release is NULL. */
struct row_source clerk_rows_source(struct clerk_rows *rows);

#endif
