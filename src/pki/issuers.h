/**
 * Who is above a certificate, and what it is for: for lists of what is in use.
 */
#ifndef PGSEAL_PKI_ISSUERS_H
#define PGSEAL_PKI_ISSUERS_H

#include "pki/cert.h"

enum { ISSUERS_MAX = 16, CERT_USES_MAX = 4 };

/** The first certificate of `known` that issued this one; NULL: none. Borrowed. */
X509 *issuer_find(X509 *cert, const struct cert_list *known);
/**
 * The subjects above a certificate, its issuer first, as far as `known` leads: the last one is the root's, or
 * the name of an issuer that is not known here. A root has none.
 */
MUST_CHECK enum code issuers_of(X509 *cert, const struct cert_list *known, struct arena *arena,
                                struct str **out, size_t *out_n, struct err *e);
/** "ca", or what its extended key usage says: "server", "client", "other". Returns how many. */
size_t cert_uses(const struct cert_info *info, struct str out[CERT_USES_MAX]);

#endif
