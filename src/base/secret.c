/* Secrets: wiped, compared in constant time. */
#include "base/secret.h"

#include <openssl/crypto.h>
#include <stdlib.h>

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

enum code password_set(struct password *password, struct bytes value)
{
    uint8_t *copy = NULL;

    if (value.n > PASSWORD_MAX)
        return E_LIMIT;
    if (value.n > 0) {
        copy = malloc(value.n);
        if (!copy)
            return E_NOMEM;
        memcpy(copy, value.p, value.n);
    }
    password_wipe(password);
    *password = (struct password){ value.n, copy };
    return OK;
}

void password_wipe(struct password *password)
{
    if (password->p)
        OPENSSL_cleanse(password->p, password->n);
    free(password->p);
    *password = (struct password){ 0 };
}

void password_auto(struct password *password)
{
    password_wipe(password);
}

bool secret_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void wipe(void *p, size_t n)
{
    OPENSSL_cleanse(p, n);
}
