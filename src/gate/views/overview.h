/**
 * The status report (tables/report.def) of this gate: how the steward asks for it without waiting.
 *
 * Sessions and counts are gathered by the workers, the clerk runs queries over what was gathered, and
 * the answer comes back to the steward's loop. One report at a time; whoever asks keeps the answer for
 * others.
 */
#ifndef PGSEAL_GATE_VIEWS_OVERVIEW_H
#define PGSEAL_GATE_VIEWS_OVERVIEW_H

#include "base/err.h"

struct gate_shared;
struct overview;

/** The report as JSON, borrowed for the call; or why there is none (`why` is not NULL then). */
typedef void overview_fn(void *arg, struct bytes json, const struct err *why);

/** NULL when memory ran out. */
struct overview *overview_new(struct gate_shared *shared);
/**
 * On the steward's loop, and not before the last question was answered. `done` is called there once, perhaps
 * at once. `not_ready`: why no new sessions are taken, for the report; a static text without quotes. NULL: they are.
 */
void overview_ask(struct overview *overview, const char *not_ready, overview_fn *done, void *arg);
/**
 * On the steward's loop, or when it has ended: an answer that is owed is given now; nobody will ask again.
 */
void overview_stop(struct overview *overview);
/** All threads have been joined and their loops have run dry. NULL is fine. */
void overview_free(struct overview *overview);

#endif
