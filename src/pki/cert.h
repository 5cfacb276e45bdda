/**
 * Certificates: read, described, fingerprinted, bound to a channel.
 */
#ifndef PGSEAL_PKI_CERT_H
#define PGSEAL_PKI_CERT_H

#include "pki/key.h"
#include "pki/name.h"

enum {
    CERT_LIST_MAX = 1024, /* certificates in one file; public trust stores have about 150 */
    CERT_HASH_MAX = 64,   /* bytes of the largest digest */
    CERT_SHA256_SIZE = 32,
    CERT_SHA256_TEXT = 2 * CERT_SHA256_SIZE + 1
};

/** Certificates in the order of their file; owned. */
struct cert_list {
    X509 **items;
    size_t n;
};

void cert_list_fini(struct cert_list *list);
void cert_list_auto(struct cert_list *list);
/** Append one more reference to `cert`. */
MUST_CHECK enum code cert_list_add(struct cert_list *list, X509 *cert);
/** Is this very certificate among them? */
bool cert_list_has(const struct cert_list *list, X509 *cert);

/**
 * The certificates of a file that holds one's own (ssl_cert_file, sslcert), as OpenSSL loads them: the first
 * CERTIFICATE or TRUSTED CERTIFICATE, and every CERTIFICATE after it. Other blocks and text between them are
 * passed over.
 *
 * file  for messages only.
 * out   an empty list when there is no certificate at all: the caller decides whether that is an error.
 *
 * E_CONFIG with the number of the bad block; E_LIMIT beyond CERT_LIST_MAX.
 * [src: SSL_CTX_use_certificate_chain_file(3), PEM_read_bio_X509_AUX(3)]
 */
MUST_CHECK enum code cert_chain_from_pem(struct bytes pem, const char *file, struct cert_list *out,
                                         struct err *e);
/** The same from a file; no certificate in it is E_CONFIG. */
MUST_CHECK enum code cert_chain_load(const char *path, struct cert_list *out, struct err *e);
/** One certificate, nothing after it. E_TLS. */
MUST_CHECK enum code cert_from_der(struct bytes der, X509 **out, struct err *e);
void cert_free(X509 *cert);
void cert_auto(X509 **cert);
/** Append the PEM block. E_NOMEM, E_INTERNAL. */
MUST_CHECK enum code cert_to_pem(X509 *cert, struct buf *out);
/** Append the DER. E_NOMEM, E_INTERNAL. */
MUST_CHECK enum code cert_to_der(X509 *cert, struct buf *out);

/** Extended key usage, as bits. No extension at all: CERT_EKU_ANY. */
enum cert_eku { CERT_EKU_SERVER = 1, CERT_EKU_CLIENT = 2, CERT_EKU_OTHER = 4, CERT_EKU_ANY = 8 };

/** Everything worth showing; all texts live in the arena. */
struct cert_info {
    struct str subject; /* name_slash */
    struct str issuer;
    struct str serial; /* decimal */
    struct str serial_hex;
    struct str *sans; /* san_text each */
    size_t n_sans;
    struct str key; /* "ECDSA P-256" */
    unsigned key_bits;
    struct str signature; /* "ecdsa-with-SHA256" */
    int64_t not_before_unix_s;
    int64_t not_after_unix_s;
    uint8_t sha256[CERT_SHA256_SIZE];
    uint8_t key_sha256[CERT_SHA256_SIZE]; /* of its public key */
    unsigned eku;                         /* bits of enum cert_eku */
    int path_length;                      /* -1: none given */
    bool is_ca;
    bool self_signed; /* signed by its own key */
};

/** Take it apart. E_TLS for names and times that cannot be decoded, E_NOMEM, E_INTERNAL. */
MUST_CHECK enum code cert_describe(X509 *cert, struct arena *arena, struct cert_info *out, struct err *e);
/** Of the DER; false when the library fails. */
bool cert_sha256(X509 *cert, uint8_t out[CERT_SHA256_SIZE]);
/** As people compare them: lower-case hexadecimal digits, NUL-terminated. */
void cert_sha256_text(const uint8_t sha256[CERT_SHA256_SIZE], char out[CERT_SHA256_TEXT]);
/** Seconds since 1970, UTC. E_TLS when the time is malformed. */
MUST_CHECK enum code cert_times(X509 *cert, int64_t *out_not_before_s, int64_t *out_not_after_s,
                                struct err *e);
/** Issued by a certificate with this subject and key identifier, and signed by its key. */
bool cert_issued_by(X509 *cert, X509 *issuer);
/** Both have one subject and one key: copies of one CA, say, of which one was renewed. */
bool cert_same_key(X509 *a, X509 *b);
/** Subject and issuer are equal and the signature is its own key's. */
bool cert_self_signed(X509 *cert);

/**
 * Channel-binding bytes `tls-server-end-point`: the hash of the certificate with the digest of its signature.
 * MD5 and SHA-1 signatures give SHA-256; RSA-PSS gives the digest of its parameters.
 *
 * E_UNSUPPORTED `could not find digest for NID UNDEF` for signatures that name no digest (Ed25519, Ed448):
 * the exchange must then fail when the client chose channel binding, as PostgreSQL's does.
 * [src: RFC 5929, section 4.1; PostgreSQL 18, be_tls_get_certificate_hash]
 */
MUST_CHECK enum code cert_end_point_hash(X509 *cert, uint8_t out[CERT_HASH_MAX], size_t *out_n,
                                         struct err *e);

#endif
