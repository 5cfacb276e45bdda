/**
 * Can any server be reached? For readiness probes: found out on request, and kept for a moment.
 */
#ifndef PGSEAL_GATE_STEWARD_REACH_H
#define PGSEAL_GATE_STEWARD_REACH_H

#include "gate/steward/steward.h"

/** When the gate is over: the same for a look at the servers. */
void reach_stop(struct gate *g);
/** See gate_ask_ready(). */
MUST_CHECK bool reach_ask(struct gate *g, void (*done)(void *arg, const char *why), void *arg);

#endif
