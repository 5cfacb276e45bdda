/**
 * First bytes: one peeked byte tells direct TLS, the rest are packets without a type byte.
 */
#ifndef PGSEAL_GATE_SESSION_GREET_H
#define PGSEAL_GATE_SESSION_GREET_H

#include "gate/session/session.h"

/**
 * First packets: answers SSLRequest and GSSENCRequest, sends ClientHellos to SEAL and the rest to STARTUP.
 */
enum step greet_step(struct session *s, struct err *e);

#endif
