/**
 * Stopping.
 */
#ifndef PGSEAL_GATE_STEWARD_STOP_H
#define PGSEAL_GATE_STEWARD_STOP_H

#include "gate/steward/steward.h"

/** Before the workers are made. */
MUST_CHECK enum code stop_prepare(struct gate *g);
/** End the sessions at their next ReadyForQuery(idle), or now; the first time also stop listening. */
void stop_drain(struct gate *g, bool now);
/** Give back what stop_prepare() made, and the lock. */
void stop_free(struct gate *g);

#endif
