/**
 * Stopping.
 */
#ifndef PGSEAL_GATE_STEWARD_STOP_H
#define PGSEAL_GATE_STEWARD_STOP_H

#include "gate/steward/steward.h"

/** Make its timers. */
MUST_CHECK enum code stop_prepare(struct gate *g);
/** Told to stop. Not `now`: shutdown_delay, then a drain; a second time changes nothing. */
void stop_ask(struct gate *g, bool now);
/** All workers have ended: the log says how the sessions did. */
void stop_report(const struct gate *g);
/** Another process is the gate: stop listening, and let the sessions that are here live on, until drain_timeout. */
void stop_leave(struct gate *g);
/** A worker listens no more. After the last one the lock is given up. */
void stop_worker_closed(struct gate *g);
/** A worker's loop has ended. */
void stop_worker_ended(struct gate *g);
/** Give back what stop_prepare() made, and the lock. */
void stop_free(struct gate *g);

#endif
