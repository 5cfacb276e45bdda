/**
 * Certificate signing requests: what somebody else's key wants to be certified as.
 */
#ifndef PGSEAL_PKI_CSR_H
#define PGSEAL_PKI_CSR_H

#include "pki/key.h"
#include "pki/name.h"

struct X509_req_st; /* X509_REQ */

/** Texts live in the arena given; the rest lives as long as `req`. */
struct csr {
    struct X509_req_st *req;  /* owned */
    EVP_PKEY *key;            /* the public half */
    const X509_NAME *subject; /* may be empty */
    struct cert_names names;
    unsigned eku; /* bits of enum cert_eku; 0: it asks for none */
};

/**
 * The first CERTIFICATE REQUEST of PEM text, signed by its own key.
 *
 * file  for messages only.
 * E_CONFIG; E_PARAM when the signature is not its key's; E_UNSUPPORTED for alternative names of a type that we
 * do not write.
 * [src: RFC 2986]
 */
MUST_CHECK enum code csr_from_pem(struct bytes pem, const char *file, struct arena *arena, struct csr *out,
                                  struct err *e);
MUST_CHECK enum code csr_load(const char *path, struct arena *arena, struct csr *out, struct err *e);
void csr_fini(struct csr *csr);
void csr_auto(struct csr *csr);

#endif
