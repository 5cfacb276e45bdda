/** The inside of a context, and what both kinds of it want. For the files of tls/ only. */
#ifndef PGSEAL_TLS_CONTEXT_BASE_H
#define PGSEAL_TLS_CONTEXT_BASE_H

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
    bool own_records;                          /* enum tls_records */
    bool logs_keys;                            /* into a file */
    size_t record_max;                         /* content of a record that is sent; 0: as much as there is */
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
/** E_CONFIG: "could not `verb` `what` file", with OpenSSL's reason, and a hint where the file is DER. */
enum code context_unreadable(struct err *e, const char *verb, const char *what, const char *file);
/** Remember hash, fingerprint and DER of the certificate that the context serves, if it has one. */
MUST_CHECK enum code context_remember_certificate(struct tls_context *context, struct err *e);

#endif
