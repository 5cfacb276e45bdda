/**
 * Which far end: the status database, a server, or nothing at all.
 */
#ifndef PGSEAL_GATE_SESSION_ROUTE_H
#define PGSEAL_GATE_SESSION_ROUTE_H

#include "gate/session/session.h"

/** Which far end. */
enum step route_step(struct session *s, struct err *e);

#endif
