/**
 * How many connections there may be: those that are not authenticated, bounded by max_pending_connections and
 * shared out by prefix (net/shares.h), and those that are, bounded by max_connections.
 *
 * A place that is taken away ends its session: after its StartupMessage with FATAL 53300, before that
 * without a byte.
 */
#ifndef PGSEAL_GATE_PENDING_H
#define PGSEAL_GATE_PENDING_H

#include "base/err.h"
#include "net/prefix.h"

struct gate_shared;
struct session;
struct settings;

/** Tables of a gate that is made. */
MUST_CHECK enum code pending_open(struct gate_shared *shared);
/** The workers' loops have been freed. */
void pending_close(struct gate_shared *shared);
/** How many connections may be pending over TCP, or over unix sockets. */
int pending_limit(const struct gate_shared *shared, const struct settings *settings, bool local);
/** How many descriptors the settings may ask for, at most. */
long pending_descriptors(const struct gate_shared *shared, const struct settings *settings);

/** On whose account its places are. */
struct prefix pending_prefix(const struct session *s);
/** A connection was accepted, or a PROXY header has told whose it is. False: memory ran out. */
MUST_CHECK bool pending_enter(struct session *s);
/** It is over. Harmless on one that was authenticated. */
void pending_leave(struct session *s);
/** One that is pending yields, so that a descriptor becomes free. False: there is none. */
bool pending_make_room(struct gate_shared *shared);

/**
 * The client's exchange is going to a server, which then has a connection that nobody has proved himself on.
 * Together with those that are authenticated these are no more than max_connections. E_TOO_MANY.
 */
MUST_CHECK enum code pending_relay(struct session *s, struct err *e);
/** The client has proved who it is: it counts. E_TOO_MANY; *out_late: PostgreSQL says so after R(0). */
MUST_CHECK enum code pending_admit(struct session *s, bool *out_late, struct err *e);

#endif
