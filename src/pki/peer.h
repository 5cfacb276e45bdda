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
    const struct str *sans; /* alternative names that are names: see peer_cert_sans() */
    size_t n_sans;
};

/** More of them than these are not looked at, nor are longer ones. */
enum { PEER_SANS_MAX = 64, PEER_SAN_MAX = 2048 /* [src: SPIFFE-ID, section 2.3] */ };

/**
 * Read a certificate that the handshake has verified.
 *
 * E_PROTOCOL `SSL certificate's common name contains embedded null` (or distinguished name): the connection
 * must end. E_NOMEM. [src: PostgreSQL 18, be_tls_open_server]
 */
MUST_CHECK enum code peer_cert_read(X509 *cert, struct arena *arena, struct peer_cert *out, struct err *e);

/**
 * The DNS names, e-mail addresses and URIs among the certificate's alternative names, as they stand there. Only those
 * that look like one: a DNS name has no sign but `-._*`, an address one `@` and neither `:` nor `/`, a URI begins with
 * its scheme and `:`, none has a NUL or anything beyond ASCII. So none can be taken for one of another kind.
 *
 * out  possibly empty: also where the extension cannot be read. E_NOMEM.
 */
MUST_CHECK enum code peer_cert_sans(X509 *cert, struct arena *arena, const struct str **out, size_t *out_n);
/** True for a text that is among them where it stands as a name of the right kind. */
bool peer_san_counts(struct str name);

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
