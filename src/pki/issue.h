/**
 * Building and signing of certificates and CRLs; what ca.c writes to disk. No files here.
 */
#ifndef PGSEAL_PKI_ISSUE_H
#define PGSEAL_PKI_ISSUE_H

#include "pki/ca.h"

struct buf;

/** Whoever signs. `cert` NULL: the certificate is signed by its own key. */
struct issuer {
    X509 *cert;
    EVP_PKEY *key;
    const struct env *env;
};

/** A self-signed CA certificate. out returned to caller. */
MUST_CHECK enum code issue_ca(const struct ca_params *params, const struct issuer *self, X509 **out,
                              struct err *e);
/** An end certificate for `key`. out returned to caller. */
MUST_CHECK enum code issue_leaf(const struct ca_request *request, EVP_PKEY *key, const struct issuer *issuer,
                                X509 **out, struct err *e);

/**
 * A signing request in PEM for what another CA is to sign: subject and alternative names of `request`, and the
 * public half of `key`. Use and days are that CA's business.
 */
MUST_CHECK enum code issue_request(const struct ca_request *request, EVP_PKEY *key, struct buf *out,
                                   struct err *e);

struct issue_crl {
    const struct ca_entry *entries; /* those not revoked are passed over */
    size_t n;
    uint64_t number;
    unsigned days;
};
MUST_CHECK enum code issue_crl(const struct issue_crl *what, const struct issuer *issuer, X509_CRL **out,
                               struct err *e);

#endif
