/**
 * What pki needs of OpenSSL's manners: reasons from its queue, and destructors for AUTO.
 */
#ifndef PGSEAL_PKI_OSSL_H
#define PGSEAL_PKI_OSSL_H

#include "base/err.h"

#include <openssl/types.h>

enum { OSSL_REASON_MAX = 256 };

/**
 * The reason of the first queued error in PostgreSQL's words, and an empty queue after it: OpenSSL's reason
 * string, the system's text for system errors, `no SSL error reported`, or `SSL error code N`.
 * [src: PostgreSQL 18, be-secure-openssl.c SSLerrmessage]
 */
const char *ossl_reason(char out[OSSL_REASON_MAX]);
/** E_INTERNAL, or E_NOMEM when that is what is queued, with `could not WHAT: REASON`. */
enum code ossl_fail(struct err *e, const char *what);

/** A read-only BIO over borrowed bytes; NULL when out of memory or larger than INT_MAX. */
BIO *ossl_bio_over(struct bytes data);
/** What a memory BIO has collected; borrowed from it. */
struct bytes ossl_bio_bytes(BIO *bio);

void bio_auto(BIO **bio);

/** Seconds since 1970, UTC; E_TLS for a malformed or absent time. */
MUST_CHECK enum code ossl_time(const ASN1_TIME *time, int64_t *out_unix_s);
/** True when the last PEM call merely found no further block. */
bool ossl_end_of_pem(void);

#endif
