/**
 * The client's half of SCRAM-SHA-256(-PLUS), with a password or with keys only.
 *
 *   R10  scram_client_start()      → body of SASLInitialResponse
 *   R11  scram_client_challenge()  checks the server's first message
 *        scram_client_cost()       iterations that the next step will run: a job for the pool when large
 *        scram_client_respond()    → body of SASLResponse
 *   R12  scram_client_finish()     OK only when the server proved that it knows the secret
 *
 * Texts are libpq's. Whoever drives it must not take AuthenticationOk for a success before
 * scram_client_finish said OK [src: RFC 5802; PostgreSQL 18, fe-auth.c pg_SASL_init, fe-auth-scram.c].
 */
#ifndef PGSEAL_AUTH_SCRAM_CLIENT_H
#define PGSEAL_AUTH_SCRAM_CLIENT_H

#include "auth/scram.h"
#include "base/buf.h"
#include "base/secret.h"

struct env;

enum channel_binding { CHANNEL_BINDING_DISABLE, CHANNEL_BINDING_PREFER, CHANNEL_BINDING_REQUIRE };

enum {
    /* A hostile server may ask for two billion iterations: some ten minutes of one core. What is above this
     * is refused; libpq has no such limit [choice: a gate serves others meanwhile]. */
    SCRAM_CLIENT_ITERATIONS_MAX = 10000000,
    /* Longest payload of R11 or R12 we read; the login machine's own limit for R is 2000. */
    SCRAM_CLIENT_MESSAGE_MAX = 2000,
};

struct scram_client_params {
    struct bytes password;         /* borrowed until scram_client_respond; empty: none */
    const struct scram_keys *keys; /* copied; NULL: none. Preferred to the password */
    enum channel_binding channel_binding;
    bool tls;
    struct bytes cert_hash;  /* tls-server-end-point of the server's certificate; borrowed until
                              * scram_client_respond; empty: none defined */
    uint32_t iterations_max; /* 0: SCRAM_CLIENT_ITERATIONS_MAX */
    const struct env *env;   /* borrowed */
};

enum scram_client_state {
    SCRAM_CLIENT_NEW,
    SCRAM_CLIENT_STARTED,
    SCRAM_CLIENT_CHALLENGED,
    SCRAM_CLIENT_RESPONDED,
    SCRAM_CLIENT_FINISHED,
    SCRAM_CLIENT_FAILED,
};

/** Embed it; treat the members as private. */
struct scram_client {
    struct scram_client_params params;
    struct scram_keys keys; /* given, or derived from the password */
    bool have_keys;
    bool plus;
    enum scram_client_state state;
    struct buf auth_message; /* grows with the exchange */
    size_t nonce_at;         /* the nonce (ours, then the combined one) inside auth_message */
    size_t nonce_n;
    uint32_t iterations;
    size_t salt_n;
    uint8_t salt[SCRAM_CLIENT_MESSAGE_MAX];
};

void scram_client_init(struct scram_client *client, const struct scram_client_params *params);
/** Wipes; accepts a zeroed struct. */
void scram_client_fini(struct scram_client *client);
void scram_client_auto(struct scram_client *client);

/**
 * Choose a mechanism and write the body of SASLInitialResponse.
 *
 * mechanisms  payload of AuthenticationSASL after its code.
 * out         appended to; holds no secret.
 */
MUST_CHECK enum code scram_client_start(struct scram_client *client, struct bytes mechanisms, struct buf *out,
                                        struct err *e);

/**
 * Take server-first-message. With keys, a salt or iterations other than theirs fail here (E_AUTH), before any
 * proof has left.
 */
MUST_CHECK enum code scram_client_challenge(struct scram_client *client, struct bytes payload, struct err *e);
/** Iterations that scram_client_respond will run; 0 with keys. */
uint32_t scram_client_cost(const struct scram_client *client);
/** Write the body of SASLResponse. Touches nothing but `client` and `out`: may run on another thread. */
MUST_CHECK enum code scram_client_respond(struct scram_client *client, struct buf *out, struct err *e);
/** Take server-final-message and verify the server's signature. */
MUST_CHECK enum code scram_client_finish(struct scram_client *client, struct bytes payload, struct err *e);

/** True once the server has proved itself. */
bool scram_client_finished(const struct scram_client *client);
/** True when PLUS was chosen. */
bool scram_client_bound(const struct scram_client *client);

#endif
