/**
 * The gate's own connection to a server: from nothing to the point where a StartupMessage may be sent.
 *
 * Walks through hosts, addresses and encryption methods as libpq would (client/hosts.h), negotiates TLS,
 * verifies the server. After `ready` the owner speaks; what the server says arrives through `data`.
 */
#ifndef PGSEAL_GATE_UPSTREAM_SERVER_CONN_H
#define PGSEAL_GATE_UPSTREAM_SERVER_CONN_H

#include "client/hosts.h"
#include "client/login_drive.h"
#include "net/stream.h"

struct server_conn;
struct conn_host;
struct upstream;
struct worker;

/** All are called from the loop, never from within one of these functions; the last thing they touch may be
 * server_conn_free(). */
struct server_conn_owner {
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
     * or `failed` follows. NULL: nothing was begun. It must not be freed here. */
    void (*lapsed)(void *arg);
    /** May this address be connected to? OK; E_MORE: later, server_conn_go() goes on; else the attempt fails.
     * `addr` NULL: none is for now. Called from within these functions too. NULL: always. */
    enum code (*turn)(void *arg, const struct address *addr, struct err *e);
};

/** Where a session's server was reached, so that a cancel reaches the same one with the same protection. */
struct cancel_route {
    struct address addr;
    enum conn_method method; /* METHOD_PLAIN unless the session has TLS */
    size_t host;             /* index into the conninfo's hosts */
    uint32_t pid;            /* the server's own */
    uint8_t key[256];
    size_t key_n;
};

/** Begin. NULL when memory ran out. upstream: borrowed with the snapshot it belongs to. */
struct server_conn *server_conn_new(struct worker *worker, const struct upstream *upstream,
                                    const struct server_conn_owner *owner);
/** Begin with one address and method only. */
struct server_conn *server_conn_new_at(struct worker *worker, const struct upstream *upstream,
                                       const struct cancel_route *route,
                                       const struct server_conn_owner *owner);
/** Close everything. NULL is fine. */
void server_conn_free(struct server_conn *conn);

/** Send; `data` of a kind that must not stay in memory is the caller's to wipe. E_CLOSED where no connection
 * is ready: what was meant for one server never goes to the next. */
MUST_CHECK enum code server_conn_send(struct server_conn *conn, struct bytes data, struct err *e);
/** The same for what was put together: E_NOMEM, and nothing is sent, where a part of it was lost. */
MUST_CHECK enum code server_conn_send_buf(struct server_conn *conn, const struct buf *data, struct err *e);
/**
 * The login over this connection came to nothing: go on as libpq would. `failed` is called when nothing is
 * left, `ready` when another connection is established.
 */
void server_conn_event(struct server_conn *conn, enum attempt_event event, const struct err *e);
/** The present host is no longer what is wanted: on to the next address, as if it had not answered. Nothing where no
 * host is being tried. `lapsed` is called, then `ready` or `failed`. */
void server_conn_give_up(struct server_conn *conn, const struct err *e);
/** After `failed` or `closed`: it came about as it does while another server becomes the primary. */
bool server_conn_may_recover(const struct server_conn *conn);
/** Connect to the present address once more, in the same way: `ready` or `failed` follows, from the loop. */
void server_conn_again(struct server_conn *conn);
/** After E_MORE of `turn`: ask again. From the loop. */
void server_conn_go(struct server_conn *conn);
/** The present address does not suit, but there is no second try: the next sessions try others first. */
void server_conn_pass_over(struct server_conn *conn);
/** From here on the time is somebody else's, who is limited otherwise: connect_timeout does not count it. */
void server_conn_untimed(struct server_conn *conn);
/** What the server of the present address told of its role: sessions to come go by it. */
void server_conn_role(struct server_conn *conn, enum host_role role);
/** The present address is remembered as one that does not suit target_session_attrs. */
bool server_conn_unfit(const struct server_conn *conn);
/** The session is accepted. */
void server_conn_accepted(struct server_conn *conn);
/** True in the pass in which target_session_attrs does not matter. */
bool server_conn_any_attrs(const struct server_conn *conn);

/** The host of the present attempt; not of a server_conn_new_at(). */
const struct conn_host *server_conn_host(const struct server_conn *conn);
bool server_conn_is_tls(const struct server_conn *conn);
bool server_conn_is_unix(const struct server_conn *conn);
/** Did this server ask for the gate's certificate, and was there one to send? */
enum login_cert server_conn_certificate(const struct server_conn *conn);
/** For a login over this connection; `worked` is called with `arg`. */
struct login_line server_conn_line(struct server_conn *conn, void (*worked)(void *arg), void *arg);
/** Fill address, method and host of `out`. */
void server_conn_route(const struct server_conn *conn, struct cancel_route *out);
/** Hand the connection over; `fn` is called for its readiness from now on, and the rest may be freed. */
void server_conn_take_stream(struct server_conn *conn, struct stream *out, poll_fn *fn, void *arg);
/** "127.0.0.1:5432" or the socket's path. */
void server_conn_text(const struct server_conn *conn, char out[128]);

#endif
