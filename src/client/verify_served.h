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

enum { SERVED_TARGETS_MAX = 64, SERVED_NAME_SIZE = 64 };

enum served {
    SERVED_SAME,
    SERVED_OTHER,  /* a different certificate: `why` names both fingerprints */
    SERVED_UNKNOWN /* could not be checked: `why` says what failed */
};

struct served_target {
    struct address address; /* to connect to */
    bool proxy;             /* a PROXY header comes first (LOCAL: the connection speaks for itself) */
    enum served result;
    struct err why;
};

struct served_check {
    /* Borrowed. One for all checks: OpenSSL 3.5 forgets, but does not free, what a thread has for its errors when a
     * library context is freed on it. */
    struct tls_library *library;
    const struct env *env; /* borrowed */
    uint8_t fingerprint[CERT_SHA256_SIZE];
    char name[SERVED_NAME_SIZE]; /* to ask for by SNI */
    size_t n;
    struct served_target targets[SERVED_TARGETS_MAX];
};

/** A name that nobody guesses, for a gate to know its own visits by. False: no random bytes. */
MUST_CHECK bool served_name(const struct env *env, char out[SERVED_NAME_SIZE]);
/** Where a listener is reached: nobody listens on a wildcard's own address, loopback stands for it. */
struct address served_address(const struct address *listening);
/** Fill in the results. Blocks for up to some seconds per target: for a pool thread. */
void verify_served(struct served_check *check);

#endif
