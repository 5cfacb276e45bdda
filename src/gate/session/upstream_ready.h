/**
 * Between the server's AuthenticationOk and its ReadyForQuery: everything is held, the cancel key is replaced by one of the gate's own, and the client gets it in one piece.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_READY_H
#define PGSEAL_GATE_SESSION_UPSTREAM_READY_H

#include "gate/session/upstream_impl.h"

/** AuthenticationOk was read: go on to ReadyForQuery with what r->in holds. */
void upstream_authenticated(struct upstream_room *r);
/** Go on with what r->in holds after AuthenticationOk. */
void upstream_after_ok(struct upstream_room *r);

#endif
