/* OpenSSL's error queue, memory BIOs and times. */
#include "pki/ossl.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <time.h>

const char *ossl_reason(char out[OSSL_REASON_MAX])
{
    unsigned long number = ERR_get_error();
    const char *reason = number ? ERR_reason_error_string(number) : "no SSL error reported";

    if (!reason && ERR_SYSTEM_ERROR(number))
        reason = strerror(ERR_GET_REASON(number));
    if (reason)
        (void)snprintf(out, OSSL_REASON_MAX, "%s", reason);
    else
        (void)snprintf(out, OSSL_REASON_MAX, "SSL error code %lu", number);
    ERR_clear_error();
    return out;
}

enum code ossl_fail(struct err *e, const char *what)
{
    char reason[OSSL_REASON_MAX];
    enum code code = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE ? E_NOMEM : E_INTERNAL;

    return err_set(e, code, "could not %s: %s", what, ossl_reason(reason));
}

BIO *ossl_bio_over(struct bytes data)
{
    return data.n <= INT_MAX ? BIO_new_mem_buf(data.n ? (const void *)data.p : "", (int)data.n) : NULL;
}

struct bytes ossl_bio_bytes(BIO *bio)
{
    char *p = NULL;
    long n = BIO_get_mem_data(bio, &p);

    return bytes_of(p, n > 0 ? (size_t)n : 0);
}

void bio_auto(BIO **bio)
{
    BIO_free_all(*bio);
}

enum code ossl_time(const ASN1_TIME *time, int64_t *out_unix_s)
{
    struct tm tm = { .tm_year = 0 };

    if (!time || !ASN1_TIME_to_tm(time, &tm)) {
        ERR_clear_error();
        return E_TLS;
    }
    *out_unix_s = (int64_t)timegm(&tm);
    return OK;
}

bool ossl_end_of_pem(void)
{
    unsigned long last = ERR_peek_last_error();

    return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}
