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
/** A session that another process has begun: in relay, held, without streams, in no list. NULL: memory ran out. */
struct session *walk_adopt(struct worker *worker);
/** The client's socket is ready. `arg`: the session. */
void walk_on_client(void *arg, unsigned events);
/** It waits for the client's next query, outside a transaction. */
bool walk_idle(const struct session *s);
/** A session that is to end may: at once when it is idle, else at its next ReadyForQuery(idle). What its client has
 * sent by now is answered first. */
void walk_due(struct session *s);
/** The gate is about to end: end now; a client that has not sent a StartupMessage yet gets a moment to learn why. */
void walk_hurry(struct session *s);

#endif
