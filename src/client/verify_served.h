/**
 * After a reload: does each listener serve the certificate that was loaded?
 *
 * One connection per TCP address, made and judged on a pool thread like a client that trusts nobody.
 * [choice: comparing what the wire says finds what no check of files can: a second process on the port, a
 * worker that kept its old context]
 */
#ifndef PGSEAL_CLIENT_VERIFY_SERVED_H
#define PGSEAL_CLIENT_VERIFY_SERVED_H

#include "base/err.h"
#include "net/socket.h"
#include "pki/cert.h"

struct env;
struct tls_library;

enum { SERVED_TARGETS_MAX = 64, SERVED_NAME_SIZE = 96, SERVED_HOST_SIZE = 256 };

enum served {
    SERVED_SAME,
    SERVED_OTHER,  /* a different certificate: `why` names both fingerprints */
    SERVED_UNKNOWN /* could not be checked: `why` says what failed */
};

struct served_target {
    struct address address; /* to connect to */
    bool proxy;             /* a PROXY header comes first (LOCAL: the connection speaks for itself) */
    bool plain_tls;         /* it is no PostgreSQL: TLS begins at once */
    bool by_name; /* `name` is asked for, "" being none, and `fingerprint` wanted: not the check's own */
    char name[SERVED_HOST_SIZE];
    uint8_t fingerprint[CERT_SHA256_SIZE];
    enum served result;
    struct err why;
};

struct served_check {
    /* Borrowed. One for all checks: OpenSSL 3.5 forgets, but does not free, what a thread has for its errors when a
     * library context is freed on it. */
    struct tls_library *library;
    const struct env *env; /* borrowed */
    uint8_t fingerprint[CERT_SHA256_SIZE];
    char name[SERVED_NAME_SIZE]; /* to ask for by SNI, and told beside it (tls/hosts.h) */
    size_t n;
    struct served_target targets[SERVED_TARGETS_MAX];
};

/**
 * A name to ask for, another one each time, by which a gate knows the visits of those who can read its secret: such a
 * connection, which ends after the handshake, is no client's failure.
 *
 * secret  of the gate (os_nonce_file()); NULL: not known, and the name tells nobody anything.
 * False: no random bytes.
 */
MUST_CHECK bool served_name(const struct env *env, const uint8_t *secret, char out[SERVED_NAME_SIZE]);
/** The same for a gate on this machine, by the file of its secret; should that not be readable, without it. */
MUST_CHECK bool served_name_for(const struct env *env, const char *state_dir, char out[SERVED_NAME_SIZE]);
/** Is it such a name, made with this secret? */
bool served_name_is(const uint8_t *secret, struct str name);
/** Where a listener is reached: nobody listens on a wildcard's own address, loopback stands for it. */
struct address served_address(const struct address *listening);
/** Fill in the results. Blocks for up to some seconds per target: for a pool thread. */
void verify_served(struct served_check *check);

#endif
