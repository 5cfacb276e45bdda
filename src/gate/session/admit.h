/**
 * Policy and authentication.
 */
#ifndef PGSEAL_GATE_SESSION_ADMIT_H
#define PGSEAL_GATE_SESSION_ADMIT_H

#include "gate/session/session.h"

/** Policy and authentication; under auth_source = upstream the exchange itself follows in UPSTREAM. */
enum step admit_enter(struct session *s, struct err *e);
enum step admit_step(struct session *s, struct err *e);
/** authentication_timeout has come. True: it was the server that could not be asked (57P03); the session has ended. */
bool admit_too_late(struct session *s);
void admit_leave(struct session *s);

#endif
