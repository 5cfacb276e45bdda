/**
 * Two pipes.
 */
#ifndef PGSEAL_GATE_SESSION_RELAY_H
#define PGSEAL_GATE_SESSION_RELAY_H

#include "gate/session/session.h"

/** Both pipes. */
enum step relay_enter(struct session *s, struct err *e);
void relay_client_readable(struct session *s);
void relay_client_writable(struct session *s);
void relay_drain(struct session *s, bool now);
void relay_leave(struct session *s);

#endif
