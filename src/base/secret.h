/**
 * Bytes that are wiped after use, never printed, and compared in constant time.
 */
#ifndef PGSEAL_BASE_SECRET_H
#define PGSEAL_BASE_SECRET_H

#include "base/err.h"

enum {
    SECRET_MAX = 1024, /* a passphrase, a token, a stored secret; longer ones are refused, not cut */
    /* A cleartext password. What fits a PasswordMessage fits here, and more than that only the server's own
     * SCRAM can use [choice: PostgreSQL 18 has no limit of its own]. */
    PASSWORD_MAX = 1 << 20
};

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

/**
 * A cleartext password, of any length up to PASSWORD_MAX, in memory of its own. Declare with AUTO(password).
 */
struct password {
    size_t n;
    uint8_t *p; /* NULL when empty */
};

/** Copy in; E_LIMIT, E_NOMEM. What was there is wiped and freed. */
MUST_CHECK enum code password_set(struct password *password, struct bytes value);
static inline struct bytes password_bytes(const struct password *password)
{
    return bytes_of(password->p, password->n);
}
/** Wipe and free; may be set again. */
void password_wipe(struct password *password);
void password_auto(struct password *password);

/** Constant time for equal lengths; lengths themselves are not secret. */
bool secret_equal(struct bytes a, struct bytes b);
/** Wipe any memory. */
void wipe(void *p, size_t n);

#endif
