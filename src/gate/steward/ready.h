/**
 * Whether new sessions are taken.
 */
#ifndef PGSEAL_GATE_STEWARD_READY_H
#define PGSEAL_GATE_STEWARD_READY_H

#include "gate/steward/steward.h"

/** Why new sessions are not taken now; NULL: they are. */
const char *ready_not(const struct gate *g);
/** From now on they are; the log and the service manager are told. */
void ready_now(struct gate *g);

#endif
