/**
 * The sessions of one worker, and how many are still owed an end.
 */
#ifndef PGSEAL_GATE_SESSION_ROSTER_H
#define PGSEAL_GATE_SESSION_ROSTER_H

#include "gate/work/worker.h"

struct session;

/** A session begins. */
void roster_add(struct worker *worker, struct session *session);
/** It is in farewell. */
void roster_remove(struct worker *worker, struct session *session);
/**
 * A session from before the drain is owed no more than an answer to its StartupMessage: it counts as late.
 */
void roster_owes_less(struct worker *worker);
/** It has given its memory back. `late`: it came when the worker was draining, or was not through the door. */
void roster_freed(struct worker *worker, bool late);

#endif
