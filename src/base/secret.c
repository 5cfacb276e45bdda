/* Secrets: wiped, compared in constant time. */
#include "base/secret.h"

#include <openssl/crypto.h>

enum code secret_set(struct secret *secret, struct bytes value)
{
    if (value.n > SECRET_MAX)
        return E_LIMIT;
    secret_wipe(secret);
    if (value.n > 0)
        memcpy(secret->p, value.p, value.n);
    secret->n = value.n;
    return OK;
}

void secret_wipe(struct secret *secret)
{
    OPENSSL_cleanse(secret, sizeof *secret);
}

void secret_auto(struct secret *secret)
{
    secret_wipe(secret);
}

bool secret_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}
