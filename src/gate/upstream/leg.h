/**
 * The gate's own connection to a server: from nothing to the point where a StartupMessage may be sent.
 *
 * Walks through hosts, addresses and encryption methods as libpq would (client/hosts.h), negotiates TLS,
 * verifies the server. After `ready` the owner speaks; what the server says arrives through `data`.
 */
#ifndef PGSEAL_GATE_UPSTREAM_LEG_H
#define PGSEAL_GATE_UPSTREAM_LEG_H

#include "client/hosts.h"
#include "client/login.h"
#include "net/stream.h"

struct leg;
struct conn_host;
struct session;
struct upstream;
struct worker;

/** All are called from the loop, never from within a leg_ function; the last thing they touch may be
 * leg_free(). */
struct leg_owner {
    /** Connected, encrypted and verified as the conninfo demands. */
    void (*ready)(void *arg);
    /** Bytes from the server, decrypted; borrowed for the call. */
    void (*data)(void *arg, struct bytes data);
    /** The server closed or the connection broke after `ready`. `e` says how. */
    void (*closed)(void *arg, const struct err *e);
    /** Nothing is left to try; `e` has libpq's text of the last failure. */
    void (*failed)(void *arg, const struct err *e);
    void *arg;
    /** connect_timeout has given up a connection after `ready`: what was begun over it is void, and `ready`
     * or `failed` follows. NULL: nothing was begun. The leg must not be freed here. */
    void (*lapsed)(void *arg);
};

/** Where a session's server was reached, so that a cancel reaches the same one with the same protection. */
struct cancel_route {
    struct conn_addr addr;
    enum conn_method method; /* METHOD_PLAIN unless the session has TLS */
    size_t host;             /* index into the conninfo's hosts */
    uint32_t pid;            /* the server's own */
    uint8_t key[256];
    size_t key_n;
};

/** Begin. NULL when memory ran out. upstream: borrowed with the snapshot it belongs to. */
struct leg *leg_new(struct worker *worker, const struct upstream *upstream, const struct leg_owner *owner);
/** Begin with one address and method only. */
struct leg *leg_new_at(struct worker *worker, const struct upstream *upstream,
                       const struct cancel_route *route, const struct leg_owner *owner);
/** Close everything. NULL is fine. */
void leg_free(struct leg *leg);

/** Send; `data` of a kind that must not stay in memory is the caller's to wipe. E_CLOSED where no connection
 * is ready: what was meant for one server never goes to the next. */
MUST_CHECK enum code leg_send(struct leg *leg, struct bytes data, struct err *e);
/** The same for what was put together: E_NOMEM, and nothing is sent, where a part of it was lost. */
MUST_CHECK enum code leg_send_buf(struct leg *leg, const struct buf *data, struct err *e);
/**
 * The login over this connection came to nothing: go on as libpq would. `failed` is called when nothing is
 * left, `ready` when another connection stands.
 */
void leg_event(struct leg *leg, enum attempt_event event, const struct err *e);
/** Connect to the present address once more, in the same way: `ready` or `failed` follows, from the loop. */
void leg_again(struct leg *leg);
/** The present address does not suit, but there is no second try: the next sessions try others first. */
void leg_pass_over(struct leg *leg);
/** From here on the time is somebody else's, who is limited otherwise: connect_timeout does not count it. */
void leg_untimed(struct leg *leg);
/** What the server of the present address told of its role: sessions to come go by it. */
void leg_role(struct leg *leg, enum host_role role);
/** The present address is remembered as one that does not suit target_session_attrs. */
bool leg_unfit(const struct leg *leg);
/** The session is accepted. */
void leg_accepted(struct leg *leg);
/** True in the pass in which target_session_attrs does not matter. */
bool leg_any_attrs(const struct leg *leg);

/** The host of the present attempt; not of a leg_new_at(). */
const struct conn_host *leg_host(const struct leg *leg);
bool leg_is_tls(const struct leg *leg);
bool leg_is_unix(const struct leg *leg);
/** Did this server ask for the gate's certificate, and was there one to send? */
enum login_cert leg_certificate(const struct leg *leg);
/** tls-server-end-point of the server's certificate; empty: no TLS, or none is defined. */
struct bytes leg_end_point(const struct leg *leg);
/** Fill address, method and host of `out`. */
void leg_route(const struct leg *leg, struct cancel_route *out);
/** Hand the connection over; `fn` hears of its readiness from now on, and the leg is free to go. */
void leg_take_stream(struct leg *leg, struct stream *out, poll_fn *fn, void *arg);
/** "127.0.0.1:5432" or the socket's path. */
void leg_text(const struct leg *leg, char out[128]);

#endif
