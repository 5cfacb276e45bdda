/**
 * Stored secrets (pg_authid.rolpassword, auth_file): parsing, making, and checking a cleartext password.
 *
 *   md5<32 of 0-9a-f>                                   hex(md5(password ‖ user))
 *   SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>
 *
 * A user without a usable secret gets a mock verifier, so that the exchange looks the same from outside and
 * fails at its last step only. Its salt depends on the user's name and the installation's nonce alone: a
 * stable answer does not reveal who exists [src: PostgreSQL 18, auth-scram.c mock_scram_secret].
 */
#ifndef PGSEAL_AUTH_VERIFIER_H
#define PGSEAL_AUTH_VERIFIER_H

#include "auth/scram.h"
#include "base/buf.h"

struct env;

enum {
    MD5_HEX_CHARS = 32,
    MD5_TEXT_CHARS = 35, /* "md5" and the hex */
    MD5_SALT_BYTES = 4,
    INSTALLATION_NONCE_BYTES = 32,
};

struct scram_verifier {
    uint32_t iterations;
    bool mock; /* fails at the last step, whatever the proof */
    size_t salt_text_n;
    char salt_text[SCRAM_SALT_TEXT_MAX]; /* base64, sent unchanged */
    uint8_t stored_key[SCRAM_KEY_BYTES];
    uint8_t server_key[SCRAM_KEY_BYTES];
};

enum verifier_type {
    VERIFIER_UNRECOGNIZED, /* also the empty secret */
    VERIFIER_MD5,
    VERIFIER_SCRAM,
};

struct verifier {
    enum verifier_type type;
    char md5_hex[MD5_HEX_CHARS]; /* VERIFIER_MD5 */
    struct scram_verifier scram; /* VERIFIER_SCRAM */
};

void verifier_wipe(struct verifier *verifier);
void verifier_auto(struct verifier *verifier);

/**
 * Recognize a stored secret. Always fills `out`; what is neither MD5 nor SCRAM is VERIFIER_UNRECOGNIZED.
 * [src: PostgreSQL 18, crypt.c get_password_type, auth-scram.c parse_scram_secret]
 */
void verifier_parse(struct str secret, struct verifier *out);

/** A SCRAM verifier of a password and a salt; `iterations` ≥ 1, see SCRAM_ITERATIONS_INLINE. */
MUST_CHECK enum code scram_verifier_make(struct bytes password, struct bytes salt, uint32_t iterations,
                                         struct scram_verifier *out);
/** The same with a fresh salt of SCRAM_SALT_BYTES. */
MUST_CHECK enum code scram_verifier_make_random(struct bytes password, uint32_t iterations,
                                                const struct env *env, struct scram_verifier *out);
/** The text PostgreSQL stores. */
bool scram_verifier_print(const struct scram_verifier *verifier, struct buf *out);

/** The salt of mocks: the first 16 bytes of SHA-256(user ‖ nonce). */
MUST_CHECK enum code scram_mock_salt(struct str user, const uint8_t nonce[INSTALLATION_NONCE_BYTES],
                                     uint8_t out[SCRAM_SALT_BYTES]);
/** `iterations`: the present setting `scram_iterations`. Keys are zero, `mock` is set. */
MUST_CHECK enum code scram_verifier_mock(struct str user, const uint8_t nonce[INSTALLATION_NONCE_BYTES],
                                         uint32_t iterations, struct scram_verifier *out);

/**
 * Does this cleartext password fit the secret? (method `password`)
 *
 * user  the name of the startup packet: part of what MD5 hashes.
 *
 * OK: it does. E_PASSWORD: it does not, or the secret is of no recognized format. Else libcrypto failed.
 * Derives a key for SCRAM: see SCRAM_ITERATIONS_INLINE and verifier_cost(). Constant-time comparison.
 */
MUST_CHECK enum code verifier_check_password(const struct verifier *verifier, struct str user,
                                             struct bytes password);
/** Iterations that verifier_check_password will run. */
uint32_t verifier_cost(const struct verifier *verifier);

/** hex(md5(password ‖ user)), without "md5". E_INTERNAL where libcrypto has no MD5 (FIPS). */
MUST_CHECK enum code md5_secret_hex(struct bytes password, struct str user, char out[MD5_HEX_CHARS]);
/** hex(md5(secret_hex ‖ salt)): the answer to AuthenticationMD5Password, without "md5". */
MUST_CHECK enum code md5_response_hex(const char secret_hex[MD5_HEX_CHARS],
                                      const uint8_t salt[MD5_SALT_BYTES], char out[MD5_HEX_CHARS]);

#endif
