/**
 * The inside of an engine: for engine.c, the callbacks of its handshake, and the handover after that.
 */
#ifndef PGSEAL_TLS_ENGINE_IMPL_H
#define PGSEAL_TLS_ENGINE_IMPL_H

#include "tls/diag.h"
#include "tls/engine.h"
#include "tls/record.h"

#include <openssl/ssl.h>

struct handover;

struct tls_port {
    BIO_METHOD *method;
    BIO *bio;
    struct tls_io *io; /* of the step under way */
    struct record_tools *records;
};

/** What is known of a session without an `SSL`. */
struct tls_known {
    SSL_CTX *context; /* held: texts may be its own */
    const char *version, *cipher, *group;
    char *sni;    /* NULL: none */
    X509 *peer;   /* certificate; NULL: none, or it has been packed */
    uint8_t *der; /* the same packed; NULL: none */
    size_t der_n;
    int bits;
    bool alpn, is_cancel;
};

struct tls_engine {
    SSL *ssl; /* NULL: the handshake is over, and `record` carries the session */
    struct tls_port *port;
    struct record record;
    struct tls_known known;
    const struct tls_context
        *served;               /* on the server side, whose certificate the client gets; may be gone by now */
    char *asked;               /* a name that no host has; NULL: none */
    char *visit;               /* what a client says of its check; NULL: nothing */
    struct handover *handover; /* NULL: no secret has been seen */
    enum tls_protocol protocol; /* the context's, as are these: it may be gone by now */
    enum tls_version min_version, max_version;
    size_t record_max;   /* content of a record that we send; 0: as much as there is */
    char *verify_detail; /* of a certificate that was refused; NULL: none was */
    int verify_error, verify_depth;
    int16_t alert_sent, alert_received;
    uint16_t offered_min, offered_max;
    bool chosen;            /* `served`, by the name that was asked for */
    bool no_host;           /* nobody serves what was asked for */
    tls_hello_fn *on_hello; /* NULL: nobody asks, or was asked */
    void *hello_arg;
    bool own;       /* the records are to be ours */
    bool late;      /* in a handshake: what the key log says from here on is of use */
    bool logs_keys; /* the context has a key log of its own */
    bool server;
    bool failed;
    bool bulk;
    bool relaxed;        /* nothing secret comes any more */
    bool cert_requested; /* by the server, of us */
    bool cert_sent;
    char reason[DIAG_REASON_MAX / 2];
};

#endif
