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
/** The server waits for the next query, outside a transaction. */
bool relay_idle(const struct session *s);
void relay_leave(struct session *s);
/** The server's socket is ready. `arg`: the session. */
void relay_on_server(void *arg, unsigned events);

/** Neither pipe carries anything, and nothing ends the session, until relay_go_on(). */
void relay_hold(struct session *s);
/** What came meanwhile is seen now; the session may end of it. */
void relay_go_on(struct session *s);

#endif
