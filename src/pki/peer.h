/**
 * What a session remembers of its client's certificate, in every form that PostgreSQL shows or compares.
 */
#ifndef PGSEAL_PKI_PEER_H
#define PGSEAL_PKI_PEER_H

#include "base/err.h"

#include <openssl/types.h>

struct arena;
struct name_attribute;

struct peer_cert {
    bool has_cn;
    struct str cn;     /* first CN, raw bytes without NUL */
    struct str dn;     /* RFC 2253 */
    struct str slash;  /* subject in slash form, not cut */
    struct str issuer; /* slash form */
    struct str serial; /* decimal */
    int64_t not_after_s;
};

/**
 * Read a certificate that the handshake has verified.
 *
 * E_PROTOCOL `SSL certificate's common name contains embedded null` (or distinguished name): the connection
 * must end. E_NOMEM. [src: PostgreSQL 18, be_tls_open_server]
 */
MUST_CHECK enum code peer_cert_read(X509 *cert, struct arena *arena, struct peer_cert *out, struct err *e);

/** The attributes of its two names, for sslinfo's functions. */
struct peer_names {
    struct name_attribute *subject, *issuer;
    size_t n_subject, n_issuer;
};

/** One extension, for sslinfo's ssl_extension_info(). */
struct peer_extension {
    struct str name;  /* OpenSSL's short name, else the dotted number [choice: PostgreSQL fails on those] */
    struct str value; /* in OpenSSL's words; in hex where it has none */
    bool critical;
};

/** More of them than this are cut off. */
enum { PEER_EXTENSIONS_MAX = 128 };

/** In the certificate's order. [src: PostgreSQL 18, sslinfo.c ssl_extension_info] */
MUST_CHECK enum code peer_cert_extensions(X509 *cert, struct arena *arena, struct peer_extension **out,
                                          size_t *out_n, struct err *e);

MUST_CHECK enum code peer_cert_names(X509 *cert, struct arena *arena, struct peer_names *out, struct err *e);

#endif
