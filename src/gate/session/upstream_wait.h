/**
 * Waiting for a primary: while none of the hosts of an upstream with upstream_check_url is one, a session that has not
 * asked its client for anything waits, until authentication_timeout.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_WAIT_H
#define PGSEAL_GATE_SESSION_UPSTREAM_WAIT_H

#include "gate/session/upstream_impl.h"

struct conn_host;

/** No host is left to try: wait and begin anew? False: the room fails. */
MUST_CHECK bool upstream_wait(struct upstream_room *r, const struct err *e);
/** The same for a session whose server went away while it logged in, before its client heard of that. */
bool upstream_may_wait(const struct upstream_room *r);
/** authentication_timeout has come. True: the room has failed (57P03), for want of a primary. */
MUST_CHECK bool upstream_wait_over(struct upstream_room *r);
/** A host has become the primary, or (lost) is it no more. May end the session. */
void upstream_wait_news(struct upstream_room *r, const struct conn_host *host, bool lost);
/** The room is left. */
void upstream_wait_leave(struct upstream_room *r);

#endif
