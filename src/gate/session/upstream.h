/**
 * The upstream server: connect, log in, hand over.
 */
#ifndef PGSEAL_GATE_SESSION_UPSTREAM_H
#define PGSEAL_GATE_SESSION_UPSTREAM_H

#include "gate/session/session.h"

struct conn_host;

/** Connect and log in, or relay the exchange. */
enum step upstream_enter(struct session *s, struct err *e);
enum step upstream_step(struct session *s, struct err *e);
/** authentication_timeout has come. True: a server without room was tried again until now, and its refusal is
 * passed on, or no host was the primary; the session has ended. */
bool upstream_too_late(struct session *s);
/** What upstream_check_url has found out of a host; `lost`: it is no longer the primary. May end the session. */
void upstream_news(struct session *s, const struct conn_host *host, bool lost);
void upstream_leave(struct session *s);

#endif
