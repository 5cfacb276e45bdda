/**
 * The server's half of SCRAM-SHA-256(-PLUS): bodies of `p` messages in, payloads of `R` messages out.
 *
 *   R10 mechanisms     scram_server_mechanisms()
 *   p   initial        scram_server_feed() → SCRAM_CONTINUE, out = payload of R11
 *   p   response       scram_server_feed() → SCRAM_DONE, out = payload of R12; or SCRAM_FAIL
 *
 * Order of checks and every text are PostgreSQL's. No I/O, bounded, the same steps for a mock verifier
 * [src: RFC 5802, RFC 5929; PostgreSQL 18, auth-scram.c, auth-sasl.c].
 */
#ifndef PGSEAL_AUTH_SCRAM_SERVER_H
#define PGSEAL_AUTH_SCRAM_SERVER_H

#include "auth/verifier.h"
#include "base/buf.h"

struct env;

struct scram_server_params {
    struct str user;                       /* of the startup packet; borrowed as long as the exchange runs */
    const struct scram_verifier *verifier; /* real or mock; copied */
    bool tls;                              /* PLUS is offered exactly then */
    /* tls-server-end-point of the certificate we served; borrowed as long as the exchange runs. Empty: none
     * is defined for this certificate (Ed25519); PLUS is offered anyway and fails, as in PostgreSQL. */
    struct bytes cert_hash;
    const struct env *env; /* borrowed; for the nonce */
};

enum scram_server_state { SCRAM_SERVER_INITIAL, SCRAM_SERVER_FIRST, SCRAM_SERVER_FINAL, SCRAM_SERVER_ENDED };

/** Embed it; treat the members as private. */
struct scram_server {
    struct scram_server_params params;
    struct scram_verifier verifier;
    enum scram_server_state state;
    bool plus;
    char gs2_flag;           /* 'n', 'y' or 'p'; 0 before it was read */
    struct buf auth_message; /* grows with the exchange */
    size_t nonce_at;         /* the combined nonce inside auth_message */
    size_t nonce_n;
    struct buf out;
    uint8_t client_key[SCRAM_KEY_BYTES];
};

enum scram_result { SCRAM_CONTINUE, SCRAM_DONE, SCRAM_FAIL };

void scram_server_init(struct scram_server *server, const struct scram_server_params *params);
/** Wipes; accepts a zeroed struct. */
void scram_server_fini(struct scram_server *server);
void scram_server_auto(struct scram_server *server);

/** Payload of AuthenticationSASL: the names we offer, each with its NUL, and the NUL at the end. */
bool scram_server_mechanisms(bool tls, struct buf *out);

/**
 * One SASLInitialResponse or SASLResponse.
 *
 * body  of the `p` message, after its length word; borrowed. Bodies over SCRAM_MESSAGE_MAX fail.
 * out   set unless SCRAM_FAIL: payload to send, valid until the next call. May be empty (R11 without data).
 * e     filled on SCRAM_FAIL: E_PROTOCOL, E_AUTH, E_UNSUPPORTED or E_PASSWORD, with message and detail as
 *       PostgreSQL sends them; E_INTERNAL where no binding is defined, or libcrypto failed.
 *
 * After SCRAM_DONE or SCRAM_FAIL it must not be called again.
 */
MUST_CHECK enum scram_result scram_server_feed(struct scram_server *server, struct bytes body,
                                               struct bytes *out, struct err *e);

/** After SCRAM_DONE: the client's keys, salt and iterations. The caller wipes them. */
void scram_server_keys(const struct scram_server *server, struct scram_keys *out);
/** True when the exchange was bound to our certificate. */
bool scram_server_bound(const struct scram_server *server);
/** 'n', 'y', 'p', or 0 before the client's first message was read. */
char scram_server_gs2_flag(const struct scram_server *server);

#endif
