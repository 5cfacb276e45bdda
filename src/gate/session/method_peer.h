/**
 * The method peer, and who is at the other end of a unix socket.
 */
#ifndef PGSEAL_GATE_SESSION_METHOD_PEER_H
#define PGSEAL_GATE_SESSION_METHOD_PEER_H

#include "gate/session/session.h"

/**
 * STEP_JOB: who is at the other end is being looked up. STEP_DONE: the admission's os_user or os_user_error is
 * set.
 */
enum step method_peer_find_user(struct session *s, struct err *e);

#endif
