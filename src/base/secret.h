/**
 * Bytes that are wiped after use, never printed, and compared in constant time.
 */
#ifndef PGSEAL_BASE_SECRET_H
#define PGSEAL_BASE_SECRET_H

#include "base/err.h"

/** The longest password PostgreSQL's clients send in practice; longer ones are refused, not cut. */
enum { SECRET_MAX = 1024 };

/** No formatter accepts one; declare with AUTO(secret) so that every path wipes it. */
struct secret {
    size_t n;
    uint8_t p[SECRET_MAX];
};

/** Copy in; E_LIMIT when longer than SECRET_MAX. */
MUST_CHECK enum code secret_set(struct secret *secret, struct bytes value);
static inline struct bytes secret_bytes(const struct secret *secret)
{
    return bytes_of(secret->p, secret->n);
}
void secret_wipe(struct secret *secret);
void secret_auto(struct secret *secret);
/** Constant time for equal lengths; lengths themselves are not secret. */
bool secret_equal(struct bytes a, struct bytes b);
/** Wipe any memory. */
void wipe(void *p, size_t n);

#endif
