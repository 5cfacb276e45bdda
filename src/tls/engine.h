/**
 * One TLS session as bytes in, bytes out: no socket, no allocation of its own buffers.
 *
 * All sessions of a worker share one BIO over the buffers that the worker lends for one step (`struct
 * tls_io`), so that a wake-up costs one recv and one send. This is the one door to OpenSSL's I/O: every call
 * clears the error queue, calls, classifies, and drains the queue into a `struct err`.
 */
#ifndef PGSEAL_TLS_ENGINE_H
#define PGSEAL_TLS_ENGINE_H

#include "tls/context.h"

struct arena;
struct tls_engine;
struct tls_port;
struct X509_name_st;
struct x509_st;

/** What a worker lends for one step. */
struct tls_io {
    struct bytes in; /* what the socket gave; consumed from the front */
    bool eof;        /* the peer has closed its side behind `in` */
    uint8_t *out;    /* room for what is to be sent */
    size_t out_n;
    size_t out_size;
};

/** The BIO of one worker. Used by one engine at a time, on one thread. NULL when memory ran out. */
struct tls_port *tls_port_new(void);
void tls_port_free(struct tls_port *port);

enum tls_status {
    TLS_DONE,       /* did what was asked */
    TLS_WANT_INPUT, /* all input is consumed, more is needed */
    TLS_WANT_ROOM,  /* `out` is full: send it, then go on */
    TLS_CLOSED,     /* the peer said close_notify */
    TLS_FAILED      /* `e` says why; what stands in `out` (an alert) is still to be sent */
};

/** NULL when memory ran out. Borrowed: `port` must outlive the engine, `context` the handshake. */
struct tls_engine *tls_engine_new_server(struct tls_port *port, struct tls_context *context);
/** sni: NULL or "" sends none. alpn: offer the context's protocol. */
struct tls_engine *tls_engine_new_client(struct tls_port *port, struct tls_context *context, const char *sni,
                                         bool alpn);
void tls_engine_free(struct tls_engine *engine);

/** Go on with the handshake. e->detail and e->hint are PostgreSQL's log texts. */
enum tls_status tls_engine_handshake(struct tls_engine *engine, struct tls_io *io, struct err *e);
/** Decrypt into `dst` until it is full or the input ends; *out_n counts the bytes also when the status is not
 * DONE. */
enum tls_status tls_engine_read(struct tls_engine *engine, struct tls_io *io, struct bytes dst, size_t *out_n,
                                struct err *e);
/** Encrypt `src`; *out_n bytes were taken, also when the status is not DONE. */
enum tls_status tls_engine_write(struct tls_engine *engine, struct tls_io *io, struct bytes src,
                                 size_t *out_n, struct err *e);
/** Say close_notify. Does nothing before the handshake has ended or after a failure. */
void tls_engine_close(struct tls_engine *engine, struct tls_io *io);
/** Give the record buffers back between reads (idle) or keep them (bulk transfer). Until
 * tls_engine_relax() they are kept in any case. */
void tls_engine_set_bulk(struct tls_engine *engine, bool bulk);

/** OpenSSL wipes its copies of what it decrypts and keeps its record buffers, until this is called: the login
 * is over, nothing secret comes any more, and the session may be idle for weeks. */
void tls_engine_relax(struct tls_engine *engine);

/* ---- what a finished handshake is known by; texts are OpenSSL's constants or live in the engine ---- */

const char *tls_engine_version(const struct tls_engine *engine); /* "TLSv1.3" */
const char *tls_engine_cipher(const struct tls_engine *engine);  /* OpenSSL's name */
int tls_engine_bits(const struct tls_engine *engine);            /* bits of the algorithm, 3DES: 168 */
const char *tls_engine_group(const struct tls_engine *engine);   /* "" where there was none */
const char *tls_engine_sni(const struct tls_engine *engine);     /* what the client asked for, or "" */
bool tls_engine_alpn(const struct tls_engine *engine); /* what our side speaks was agreed on: "postgresql" */
bool tls_engine_is_cancel(const struct tls_engine *engine); /* server side: "pgseal-cancel" was agreed on */
/** The peer's certificate, borrowed, or NULL. On the server side it was verified in the handshake. */
struct x509_st *tls_engine_peer(const struct tls_engine *engine);
/** The chain as the peer sent it, leaf first where the side sends it so; count may be 0. Borrowed entries. */
size_t tls_engine_peer_chain(const struct tls_engine *engine, struct x509_st **out, size_t max);

/** Client side: the server asked for a certificate; and: there was one to send. */
bool tls_engine_cert_requested(const struct tls_engine *engine);
bool tls_engine_cert_sent(const struct tls_engine *engine);
/** Names of the CAs that the server's request listed. Borrowed entries; count may be 0. */
size_t tls_engine_peer_ca_names(const struct tls_engine *engine, const struct X509_name_st **out, size_t max);

/** What is known of a handshake that failed, or that goes on: for the log line. */
struct tls_handshake_facts {
    const char *reason;   /* OpenSSL's reason string, or "" */
    int alert_sent;       /* TLS alert number, -1: none */
    int alert_received;   /* the same */
    int verify_error;     /* X509_V_ERR_*, 0: none */
    int verify_depth;     /* of the certificate that it is about; 0: the peer's own */
    unsigned offered_min; /* lowest version in the ClientHello (wire number); 0: not told, or not seen */
    unsigned offered_max; /* highest version, 0: no ClientHello was seen */
    enum tls_version min_version, max_version; /* ours */
    const char *sni;
};
void tls_engine_facts(const struct tls_engine *engine, struct tls_handshake_facts *out);

#endif
