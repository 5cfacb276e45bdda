/** What the files of tls/ share with each other and with nobody else. */
#ifndef PGSEAL_TLS_INTERNAL_H
#define PGSEAL_TLS_INTERNAL_H

#include "tls/context.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

enum { TLS_HASH_MAX = 64, TLS_FINGERPRINT = 32 };

struct tls_library {
    OSSL_LIB_CTX *ctx;
};

struct tls_context {
    SSL_CTX *ssl_ctx;
    bool verifies_clients;
    bool takes_cancels;                        /* server side: TLS_PROTOCOL_CANCEL is on offer too */
    enum tls_protocol protocol;                /* what a client offers, and a server accepts */
    enum tls_version min_version, max_version; /* for the hint of a version failure */
    uint8_t end_point[TLS_HASH_MAX];
    size_t end_point_n;
    uint8_t fingerprint[TLS_FINGERPRINT];
    size_t fingerprint_n;
    uint8_t *certificate; /* DER */
    size_t certificate_n;
};

/** A protocol's name as ALPN lists carry it: a length byte, then the text. */
struct bytes protocol_alpn(enum tls_protocol protocol);

/** An SSL_CTX with what both sides want: modes, no tickets, no cache, no compression, no renegotiation. */
MUST_CHECK enum code context_new(struct tls_library *library, const SSL_METHOD *method,
                                 struct tls_context **out, struct err *e);
/** Remember hash, fingerprint and DER of the certificate that the context serves, if it has one. */
MUST_CHECK enum code context_remember_certificate(struct tls_context *context, struct err *e);

/** The first queued error in PostgreSQL's words, and the queue emptied. `ecode` 0: "no SSL error reported".
 */
const char *diag_reason(unsigned long ecode, char *buf, size_t size);
/** The same for the first error of the queue. */
const char *diag_first(char *buf, size_t size);
/** True for the errors that come of two sides without a common protocol version. */
bool diag_is_version(unsigned long ecode);

/** Append the secrets of every session of this client context to a file of mode 0600. NULL: none. E_CONFIG.
 */
MUST_CHECK enum code context_log_keys(struct tls_context *context, const char *path, struct err *e);

/** Use the DH group of a file, or the built-in one of RFC 3526 (2048 bits) for "". */
MUST_CHECK enum code dh_set(struct tls_context *context, struct tls_library *library, const char *file,
                            struct err *e);

/* Callbacks of the handshake, in engine.c. */
int engine_verify_cb(int ok, X509_STORE_CTX *store);
int engine_hello_cb(SSL *ssl, int *alert, void *arg);
int engine_cert_cb(SSL *ssl, void *arg);
void engine_info_cb(const SSL *ssl, int where, int ret);

enum { DIAG_REASON_MAX = 160 };

#endif
