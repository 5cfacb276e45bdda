/**
 * An upgrade, seen from the gate that serves: its successor gets everything, and then has it.
 */
#ifndef PGSEAL_GATE_STEWARD_HANDOVER_H
#define PGSEAL_GATE_STEWARD_HANDOVER_H

#include "gate/steward/steward.h"

/** Hear the parent's orders from now on. */
MUST_CHECK enum code handover_start(struct gate *g);
/** For steward_hooks: ask our successor. */
bool handover_ask(struct gate *g, const struct cancel_request *request, cancel_answered *answered, void *arg);
/** The gate is to stop: it hands nothing over any more that it has not yet. */
void handover_stop(struct gate *g);
/** Give back what handover_start() made. */
void handover_free(struct gate *g);

#endif
