/**
 * What the gate shows over HTTP: a small server on the steward's loop.
 *
 * libmicrohttpd reads and writes HTTP; it never sees a socket of the world. Every connection comes in by the
 * door (watch/door.h), which ends TLS, bounds what a client may send and how long it may stay, and hands
 * libmicrohttpd one end of a socket pair. A connection carries one request.
 *
 * Everything here belongs to the loop's thread.
 */
#ifndef PGSEAL_WATCH_HTTP_H
#define PGSEAL_WATCH_HTTP_H

#include "base/err.h"
#include "net/socket.h"

struct env;
struct http;
struct http_reply;
struct loop;
struct secret;
struct settings;
struct tls_context;

/**
 * One page. GET and HEAD come here, other methods are answered 405, other paths 404.
 *
 * `answer` is called once for each request, and for each reply http_reply_send() must be called exactly once:
 * at once, or at any later time on the loop's thread, also when the client has left meanwhile, also after
 * http_close(). It need not look whether anybody still wants the answer.
 */
struct http_route {
    const char *path; /* "/metrics"; a query behind it ("?…") is ignored */
    bool open;        /* carries nothing that a token protects: answered without one */
    void (*answer)(void *ctx, struct http_reply *reply);
};

struct http_params {
    struct loop *loop; /* borrowed, as all of these */
    const struct env *env;
    const struct settings *settings; /* as of the start: where to listen needs a restart to change */
    const struct http_route *routes;
    size_t n_routes;
    void *ctx; /* for `answer` */
    const struct socket_set
        *sockets; /* open already: taken, also on failure. NULL: open what the settings say */
};

/** What clients must bring and what they get for it; changes with every load of the configuration. */
struct http_access {
    struct tls_context *tls;      /* NULL: plain HTTP */
    const struct secret *token;   /* NULL or empty: none is asked for */
    void *owner;                  /* lends both of them */
    void (*release)(void *owner); /* nobody uses them any more; called once */
};

/**
 * Listen as http_listen says. NULL in *out and OK: it is off. Nobody is let in before http_set_access().
 *
 * E_CONFIG, E_EXISTS and others: the address cannot be used; E_NOMEM.
 */
MUST_CHECK enum code http_open(const struct http_params *params, struct http **out, struct err *e);
/** From the next connection on. `access`: copied; its owner is taken. False: out of memory, released. */
MUST_CHECK bool http_set_access(struct http *http, const struct http_access *access);
/** Borrowed. */
void http_sockets(const struct http *http, struct socket_set *out);
/** Let nobody else in: another process has the sockets, and the address. */
void http_leave(struct http *http);
/** Let nobody else in: the address is free for another program. Who has come is still answered. */
void http_shut(struct http *http);
/** Leave all clients; the listening sockets are closed, a unix socket is removed. NULL is fine. */
void http_close(struct http *http);

/** Another header for the answer; texts are copied. Before http_reply_send(). */
void http_reply_header(struct http_reply *reply, const char *name, const char *value);
/**
 * Answer, and give the reply up. body is copied. Every answer also says `Cache-Control: no-store` and
 * `X-Content-Type-Options: nosniff`.
 */
void http_reply_send(struct http_reply *reply, unsigned status, const char *content_type, struct bytes body);

#endif
