/**
 * The rooms, one function per step; walk.c is their only caller.
 *
 * Each goes on as far as it can with what s->in holds and answers with an `enum step`; on STEP_FAIL `e` is
 * filled unless the parting is silent.
 */
#ifndef PGSEAL_GATE_SESSION_ROOMS_H
#define PGSEAL_GATE_SESSION_ROOMS_H

#include "gate/session/session.h"

/**
 * First packets: answers SSLRequest and GSSENCRequest, sends ClientHellos to SEAL and the rest to STARTUP.
 */
enum step greet_step(struct session *s, struct err *e);
/** TLS with the client. */
enum step seal_enter(struct session *s, struct err *e);
enum step seal_step(struct session *s, struct err *e);
/** The client hung up between the handshake and its first message: say what that tells. */
void seal_log_left(struct session *s);
/** StartupMessage or CancelRequest. */
enum step startup_step(struct session *s, struct err *e);
/** Policy and authentication; under auth_source = upstream the exchange itself follows in UPSTREAM. */
enum step admit_enter(struct session *s, struct err *e);
enum step admit_step(struct session *s, struct err *e);
void admit_leave(struct session *s);
/** Which far end. */
enum step route_step(struct session *s, struct err *e);
/** Connect and log in, or relay the exchange. */
enum step upstream_enter(struct session *s, struct err *e);
enum step upstream_step(struct session *s, struct err *e);
void upstream_leave(struct session *s);
/** The status database. */
enum step console_enter(struct session *s, struct err *e);
enum step console_step(struct session *s, struct err *e);
void console_drain(struct session *s, bool now);
void console_leave(struct session *s);
/** Deliver a CancelRequest; s->in begins with the packet. */
enum step cancel_step(struct session *s, struct err *e);
void cancel_leave(struct session *s);
void cancel_drain(struct session *s, bool now);
/** Another gate's connection, over which nothing is under way. */
bool cancel_is_idle(const struct session *s);
/** The loop has ended: cancel requests still on their way are dropped. All workers must have been joined. */
void cancel_abandon(struct worker *worker);
/** Cancel what the session is doing, as if its client had asked. On its worker. */
void cancel_session(struct session *s);
/** Both pipes. */
enum step relay_enter(struct session *s, struct err *e);
void relay_client_readable(struct session *s);
void relay_client_writable(struct session *s);
void relay_drain(struct session *s, bool now);
void relay_leave(struct session *s);
/** Say what there is to say, then close; frees the session when the client has gone or the time is up. */
void farewell_enter(struct session *s, const struct err *e);
void farewell_client_readable(struct session *s);
void farewell_client_writable(struct session *s);
/** The client's time is up, or it has gone: free. */
void farewell_deadline(struct session *s);

#endif
