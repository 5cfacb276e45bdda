/**
 * The rows of every view, for one statement of the status database.
 *
 * What belongs to threads has been copied before (gather.h); files are read when a statement counts their
 * view's rows, on the SQL thread. Each rows_*.c knows some of the views.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_H
#define PGSEAL_GATE_VIEWS_ROWS_H

#include "base/arena.h"
#include "gate/session/session.h"
#include "status/rows.h"

struct client_row;
struct gate_shared;
struct gather;
struct session_card;
struct snapshot;
struct worker;

/** Views that need the workers' sessions, and those that need what they counted. */
#define ROWS_SESSIONS                                                                                        \
    (VIEW_BIT(VIEW_PG_STAT_SSL) | VIEW_BIT(VIEW_PG_STAT_ACTIVITY) | VIEW_BIT(VIEW_PG_STAT_GSSAPI) |          \
     VIEW_BIT(VIEW_PGSEAL_SESSIONS))
#define ROWS_TALLIES VIEW_BIT(VIEW_PGSEAL_FAILURES)
#define ROWS_CLIENTS VIEW_BIT(VIEW_PGSEAL_CLIENTS)

/** Rows that were made at once, each a whole view_row. */
struct rows_list {
    union view_row *at;
    size_t n;
    bool made;
};

/** The inside, for rows_*.c. */
struct rows {
    struct gate_shared *shared;
    struct snapshot *snapshot; /* the one in force; a reference */
    struct gather *gather;     /* owned; NULL: no sessions wanted */
    struct arena arena;
    const struct session_card **cards; /* in order of age */
    size_t n_cards;
    const struct session_card **backends; /* those that have a pid */
    size_t n_backends;
    struct rows_list lists[VIEW_COUNT];
    const struct client_row *clients; /* of that list: they become cells when they are asked for */
    char *steps[STATE_COUNT];         /* the states' names, as views spell them; NULL: not needed yet */
    int64_t now_us;
};

/**
 * A source of what is known now. `gather`: taken on success, NULL where no view of either set is wanted.
 * On a worker's thread; false when memory ran out.
 */
MUST_CHECK bool rows_new(struct worker *worker, struct gather *gather, struct row_source *out);

#endif
