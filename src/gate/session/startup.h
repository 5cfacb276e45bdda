/**
 * The StartupMessage: version, parameters, user.
 */
#ifndef PGSEAL_GATE_SESSION_STARTUP_H
#define PGSEAL_GATE_SESSION_STARTUP_H

#include "gate/session/session.h"

/** StartupMessage or CancelRequest. */
enum step startup_step(struct session *s, struct err *e);

#endif
