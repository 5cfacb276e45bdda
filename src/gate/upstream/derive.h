/**
 * Slow work on one password for the server's half: keys derived, or a password checked, on the pool.
 *
 * The work has copies of its own and outlives whoever asked for it.
 */
#ifndef PGSEAL_GATE_UPSTREAM_DERIVE_H
#define PGSEAL_GATE_UPSTREAM_DERIVE_H

#include "auth/verifier.h"

struct derive;
struct loop;

struct derive_owner {
    struct loop *loop;
    void (*done)(void *arg); /* from the loop, unless derive_free() comes first */
    void *arg;
};

/** verifier_check_password(); all arguments are copied. NULL when memory ran out. */
struct derive *derive_check(const struct verifier *verifier, struct str user, struct bytes password,
                            const struct derive_owner *owner);
/** scram_verifier_make() with a salt of SCRAM_SALT_BYTES. */
struct derive *derive_verifier(struct bytes password, const uint8_t salt[SCRAM_SALT_BYTES],
                               uint32_t iterations, const struct derive_owner *owner);
/** After `done`: the result. */
enum code derive_code(const struct derive *derive);
/** After derive_verifier() ended with OK. */
const struct scram_verifier *derive_made(const struct derive *derive);
/** NULL is fine; also while the pool works. */
void derive_free(struct derive *derive);

#endif
