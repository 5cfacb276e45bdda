/**
 * A session's turn to log in: at one server no more than upstream_login_limit at once (net/turns.h).
 *
 * It is held while the gate waits for the server, from connecting to ReadyForQuery; not while a client is waited for
 * whose exchange passes through. A server that has no room is asked again, as long as the client has heard
 * nothing and authentication_timeout lasts.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_TURN_H
#define PGSEAL_GATE_SESSION_UPSTREAM_TURN_H

#include "gate/session/upstream_impl.h"

struct server_error;

/** For struct server_conn_owner; `arg` is the room. */
enum code upstream_turn(void *arg, const struct address *addr, struct err *e);
/** The client has answered: may that be passed on? OK; E_MORE: not yet, the session is resumed; E_NOMEM. */
MUST_CHECK enum code upstream_turn_again(struct upstream_room *r, struct err *e);
/** The server is waited for no more; it had room. */
void upstream_turn_done(struct upstream_room *r);
/** It is waited for no more, whatever came of it. */
void upstream_turn_leave(struct upstream_room *r);
/**
 * The server's refusal. True: it is for want of room, and the login is tried again; `e` and the room's `refusal` stand
 * if authentication_timeout ends first. May end the session: touch it no more.
 */
bool upstream_turn_full(struct upstream_room *r, const struct server_error *said, const struct err *e);

#endif
