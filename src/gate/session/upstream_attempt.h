/**
 * The end of an attempt: of the room, or of this try only.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_ATTEMPT_H
#define PGSEAL_GATE_SESSION_UPSTREAM_ATTEMPT_H

#include "gate/session/upstream_impl.h"

/** The room's step ends with this failure. May end the session: touch it no more. */
void upstream_fail(struct upstream_room *r, const struct err *e);
/** Nothing of the present attempt is needed any more. */
void upstream_forget_attempt(struct upstream_room *r);
/** Go on with the next attempt, unless the client has been asked already. */
void upstream_attempt_failed(struct upstream_room *r, enum attempt_event event, const struct err *e);

#endif
