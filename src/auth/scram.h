/**
 * What both halves of SCRAM-SHA-256 share: the keys, how they are derived, and the calls into OpenSSL.
 *
 *   SaltedPassword = PBKDF2-HMAC-SHA-256(SASLprep(password), salt, iterations)
 *   ClientKey = HMAC(SaltedPassword, "Client Key")     StoredKey = SHA-256(ClientKey)
 *   ServerKey = HMAC(SaltedPassword, "Server Key")
 *
 * Whoever holds ClientKey can log in wherever the same salt and iterations are stored; ServerKey proves
 * the server's half. Both are wiped by whoever received them [src: RFC 5802 §3; RFC 7677].
 */
#ifndef PGSEAL_AUTH_SCRAM_H
#define PGSEAL_AUTH_SCRAM_H

#include "base/err.h"

enum {
    SCRAM_KEY_BYTES = 32,
    SCRAM_SALT_BYTES = 16,     /* of salts we make; those of others may have any length */
    SCRAM_SALT_TEXT_MAX = 512, /* base64; PostgreSQL refuses to store secrets longer than this */
    SCRAM_NONCE_BYTES = 18,    /* random bytes per side, 24 characters of base64 */
    SCRAM_MESSAGE_MAX = 1024,  /* length word of a client's message [src: PostgreSQL 18, sasl.h] */
    SCRAM_ITERATIONS_DEFAULT = 4096,
    /*
     * About a millisecond per 2,000 iterations: above this the derivation belongs on the pool, not in a loop.
     */
    SCRAM_ITERATIONS_INLINE = 20000,
    SCRAM_PASSWORD_INLINE = 1024, /* bytes; SASLprep of longer ones belongs there as well */
};

#define SCRAM_MECHANISM "SCRAM-SHA-256"
#define SCRAM_MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

/**
 * Enough to log in without the password, wherever the secret has this salt and these iterations.
 * salt_text_n == 0 and iterations == 0: not known, any are taken (libpq's scram_client_key).
 */
struct scram_keys {
    uint8_t client_key[SCRAM_KEY_BYTES];
    uint8_t server_key[SCRAM_KEY_BYTES];
    uint32_t iterations;
    size_t salt_text_n;
    char salt_text[SCRAM_SALT_TEXT_MAX]; /* base64, as it is in the secret */
};

void scram_keys_wipe(struct scram_keys *keys);
void scram_keys_auto(struct scram_keys *keys);

/**
 * Keys of a password; salt_text and iterations in `out` are left untouched.
 *
 * password    borrowed; SASLprep is applied here.
 * salt        borrowed, any length, decoded.
 * iterations  at least 1. The time is proportional: see SCRAM_ITERATIONS_INLINE. Pure, may run on any thread.
 *
 * E_NOMEM or E_INTERNAL: out of memory, or libcrypto refuses.
 */
MUST_CHECK enum code scram_keys_derive(struct bytes password, struct bytes salt, uint32_t iterations,
                                       struct scram_keys *out);

/** SHA-256 of one piece. */
MUST_CHECK enum code scram_hash(struct bytes data, uint8_t out[SCRAM_KEY_BYTES]);
MUST_CHECK enum code scram_hmac(const uint8_t key[SCRAM_KEY_BYTES], struct bytes data,
                                uint8_t out[SCRAM_KEY_BYTES]);

#endif
