/**
 * Certificate revocation lists: read, described, asked.
 */
#ifndef PGSEAL_PKI_CRL_H
#define PGSEAL_PKI_CRL_H

#include "pki/cert.h"

enum { CRL_LIST_MAX = 1024 };

/** CRLs in the order of their file; owned. */
struct crl_list {
    X509_CRL **items;
    size_t n;
};

void crl_list_fini(struct crl_list *list);
void crl_list_auto(struct crl_list *list);
/** Append one more reference to `crl`. */
MUST_CHECK enum code crl_list_add(struct crl_list *list, X509_CRL *crl);
MUST_CHECK enum code crl_to_pem(X509_CRL *crl, struct buf *out);

struct crl_info {
    struct str issuer; /* name_slash */
    struct str number; /* decimal; empty when absent */
    int64_t last_update_unix_s;
    int64_t next_update_unix_s; /* INT64_MAX: none given */
    size_t n_revoked;
};

MUST_CHECK enum code crl_describe(X509_CRL *crl, struct arena *arena, struct crl_info *out, struct err *e);
/** Signed by the key of `issuer`, which bears the CRL's issuer name. */
bool crl_signed_by(X509_CRL *crl, X509 *issuer);

struct crl_entry {
    const ASN1_INTEGER *serial; /* borrowed from the CRL */
    int64_t revoked_unix_s;
    int reason; /* RFC 5280 CRLReason; -1: none given; 8 is removeFromCRL */
};

/** Entry number `index` of n_revoked; false beyond the end or when the entry's time is malformed. */
bool crl_entry_at(X509_CRL *crl, size_t index, struct crl_entry *out);
/** The entry of a certificate of which crl_revokes() is true; false when its time is malformed. */
bool crl_entry_of(X509_CRL *crl, X509 *cert, struct crl_entry *out);
/**
 * True when the CRL is of the certificate's issuer (by name) and lists its serial (and does not un-list it).
 */
bool crl_revokes(X509_CRL *crl, X509 *cert);

#endif
