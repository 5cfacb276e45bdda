/**
 * TLS with the client.
 */
#ifndef PGSEAL_GATE_SESSION_SEAL_H
#define PGSEAL_GATE_SESSION_SEAL_H

#include "gate/session/session.h"

/** TLS with the client. */
enum step seal_enter(struct session *s, struct err *e);
enum step seal_step(struct session *s, struct err *e);
/** The client hung up between the handshake and its first message: say what that tells. */
void seal_log_left(struct session *s);

#endif
