/**
 * The order of the rooms: a session from accept to farewell.
 */
#ifndef PGSEAL_GATE_SESSION_WALK_H
#define PGSEAL_GATE_SESSION_WALK_H

#include "gate/session/session.h"

struct address;
struct worker;

/** Take over an accepted descriptor. NULL: memory ran out, the descriptor is closed. */
struct session *walk_new(struct worker *worker, int fd, const struct address *peer, bool local);
/** The gate is about to end: end now; a client that has not sent a StartupMessage yet gets a moment to learn why. */
void walk_hurry(struct session *s);

#endif
