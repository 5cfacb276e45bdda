/**
 * What a worker counts of its sessions, under the names of tables/metrics.def.
 *
 * A worker writes its own set; whoever is asked for metrics reads all of them (gate/steward/measure.h).
 */
#ifndef PGSEAL_GATE_SESSION_METERS_H
#define PGSEAL_GATE_SESSION_METERS_H

#include "tls/cause.h"

#include <stdbool.h>
#include <stdint.h>

struct counters;
struct session;

/* ---- all on the session's worker ---- */

/** A connection was accepted. */
void meters_accepted(struct session *s);
/** The session has entered its present state, or knows more of itself now. */
void meters_moved(struct session *s);
/** It gives its memory back. */
void meters_freed(struct session *s);
/** Bytes went over the client's socket since the last time. Cheap: once per wake-up. */
void meters_bytes(struct session *s);
/** TLS with the client begins, and ends: `done` false, it failed. Sets s->handshake_us. */
void meters_handshake_begins(struct session *s);
void meters_handshake_ended(struct session *s, bool done);
/** The server's ReadyForQuery is on its way to the client. */
void meters_connected(struct session *s);

/** The gate stops, and the session is told to drain; before its flags say so. */
void meters_drains(struct session *s);
/** And it ends; `told`: with 57P01. */
void meters_drained(struct session *s, bool told);
/** Another process has it: it is not among those that this one's drain waits for. */
void meters_gone_over(struct session *s);

void meters_failed(struct counters *counters, enum cause cause);
/** A StartupMessage led to a session, or to a refusal. Nothing where there was none. */
void meters_startup(struct session *s, bool admitted);

enum meters_auth { METERS_AUTH_OK, METERS_AUTH_REFUSED, METERS_AUTH_UNFINISHED };
/** How the rule's demand was met. Nothing where no rule was found. */
void meters_authenticated(struct session *s, enum meters_auth result);

/** The upstream server was reached, or was not. */
void meters_upstream(struct session *s, bool reached);
/** It waited so long to log in to the server. */
void meters_login_waited(struct session *s, int64_t waited_us);
/** The server had no room for it, and is tried again. */
void meters_login_full(struct session *s);
/** It is ended because its server is no longer the primary. */
void meters_lost(struct session *s);
/** Its server has ended it; told: with FATAL. */
void meters_server_ended(struct session *s, bool told);
/** What became of a trial; both static. */
void meters_trial(struct counters *counters, const char *kind, const char *result);
/** A cancel request was sent, forwarded or unknown; static. */
void meters_cancel(struct counters *counters, const char *result);

#endif
