/**
 * One TLS session as bytes in, bytes out: no socket, no allocation of its own buffers.
 *
 * All sessions of a worker share one BIO over the buffers that the worker lends for one step (`struct
 * tls_io`), so that a wake-up costs one recv and one send. This is the one door to OpenSSL's I/O: every call
 * clears the error queue, calls, classifies, and drains the queue into a `struct err`.
 *
 * OpenSSL makes the handshake. After it, where the context says so (`enum tls_records`) and the session is of TLS 1.3,
 * its `SSL` is freed and `tls/record.h` carries the session.
 */
#ifndef PGSEAL_TLS_ENGINE_H
#define PGSEAL_TLS_ENGINE_H

#include "tls/context.h"
#include "tls/engine_facts.h"
#include "tls/io.h"

struct tls_engine;
struct tls_port;

/** The BIO and the cipher contexts of one worker. Used by one engine at a time, on one thread. NULL when memory ran out. */
struct tls_port *tls_port_new(void);
void tls_port_free(struct tls_port *port);

enum { TLS_READ_MIN = (1 << 14) + 256 };

/** What a ClientHello asks for. */
struct tls_hello {
    const struct tls_context *served; /* the context that it has */
    struct str sni;                   /* as sent; empty: none */
    struct str visit;                 /* what it says of its check (tls/hosts.h), or empty */
    bool cancel;                      /* it offers TLS_PROTOCOL_CANCEL */
};
/** The context to go on with, of the same settings but for its certificate; NULL: the one it has. */
typedef struct tls_context *tls_hello_fn(void *arg, const struct tls_hello *hello);

/** NULL when memory ran out. Borrowed: `port` must outlive the engine, `context` the handshake. */
struct tls_engine *tls_engine_new_server(struct tls_port *port, struct tls_context *context);
/** Before the handshake of a client: what it says of its check, where its context has room for that
 * (tls_client_params.visit). False: out of memory. */
MUST_CHECK bool tls_engine_say_visit(struct tls_engine *engine, const char *visit);
/** sni: NULL or "" sends none. alpn: offer the context's protocol. */
struct tls_engine *tls_engine_new_client(struct tls_port *port, struct tls_context *context, const char *sni,
                                         bool alpn);
void tls_engine_free(struct tls_engine *engine);
/** On the server's side, before the handshake: ask once, when the first ClientHello is there. */
void tls_engine_on_hello(struct tls_engine *engine, tls_hello_fn *fn, void *arg);

/** Go on with the handshake. e->detail and e->hint are PostgreSQL's log texts. */
enum tls_status tls_engine_handshake(struct tls_engine *engine, struct tls_io *io, struct err *e);
/** Decrypt into `dst` (TLS_READ_MIN bytes at least) until it is full or the input ends; *out_n counts the bytes also
 * when the status is not DONE. */
enum tls_status tls_engine_read(struct tls_engine *engine, struct tls_io *io, struct bytes dst, size_t *out_n,
                                struct err *e);
/** Encrypt `src`; *out_n bytes were taken, also when the status is not DONE. */
enum tls_status tls_engine_write(struct tls_engine *engine, struct tls_io *io, struct bytes src,
                                 size_t *out_n, struct err *e);
/** True when a record has begun to come, and is not here whole. */
bool tls_engine_midway(const struct tls_engine *engine);
/** Say close_notify. Does nothing before the handshake has ended or after a failure. */
void tls_engine_close(struct tls_engine *engine, struct tls_io *io);
/** Give the record buffers back between reads (idle) or keep them (bulk transfer). Until
 * tls_engine_relax() they are kept in any case. */
void tls_engine_set_bulk(struct tls_engine *engine, bool bulk);

/** OpenSSL wipes its copies of what it decrypts and keeps its record buffers, until this is called: the login
 * is over, nothing secret comes any more, and the session may be idle for weeks. A server's certificate has been
 * looked at by then: where the records are ours it is forgotten. */
void tls_engine_relax(struct tls_engine *engine);

#endif
