/**
 * Which addresses may be tried out with another certificate, and when: a trial is a handshake that shows one.
 *
 * What is known of addresses comes from the rows of clients.h, some seconds late, on the SQL thread; workers
 * ask when a handshake has been drawn. One lock, which is not touched for any other connection.
 */
#ifndef PGSEAL_GATE_STATS_ADDRESSES_H
#define PGSEAL_GATE_STATS_ADDRESSES_H

#include "base/err.h"

struct addresses;
struct client_row;

/** What a handshake shows. */
enum trial {
    TRIAL_NONE,     /* the certificate of ssl_cert_file */
    TRIAL_NEXT_CA,  /* that of rollover_cert_file */
    TRIAL_STRANGER, /* one of a CA that nobody knows */
    TRIAL_MISNAMED, /* that of canary_cert_file */
    TRIAL_KINDS
};
enum { TRIALS_CANARY = 1 << TRIAL_STRANGER | 1 << TRIAL_MISNAMED };

/*  name        what the operator reads   */
#define UNTESTED(X)                                                                                          \
    X(NOT, "")                                                                                               \
    X(REPLICATION, "replication was seen")                                                                   \
    X(PLAINTEXT, "a connection without TLS within a day")                                                    \
    X(FAILURES, "a TLS handshake that failed within a day")                                                  \
    X(NO_SESSION, "no TLS session within a day")                                                             \
    X(RULE, "a rule of pg_hba.conf admits it without TLS")                                                   \
    X(HOUR, "tested within the last hour")

/** What keeps an address from being tried out. */
enum untested {
#define X(name, text) UNTESTED_##name,
    UNTESTED(X)
#undef X
};

/** NULL when memory ran out. */
struct addresses *addresses_new(void);
/** NULL is fine. */
void addresses_free(struct addresses *addresses);

/** Learn from what was seen of a client, or kept of it. Thread-safe. */
void addresses_note(struct addresses *addresses, const struct client_row *seen);
/**
 * May this address be tried out now? Then it is not again for an hour, whatever comes of it.
 *
 * kinds  bits 1 << TRIAL_…; of several, the one that was not the last one there.
 * Thread-safe.
 */
enum trial addresses_try(struct addresses *addresses, const char *address, unsigned kinds, int64_t now_us);
/** It was drawn, and the rules were asked: would one let it in without TLS, so that it is left alone? Thread-safe. */
void addresses_set_plain_rule(struct addresses *addresses, const char *address, bool admits);
/** What keeps it from being tried out now; of the rules, what was found when it was drawn last. Thread-safe. */
enum untested addresses_untested(struct addresses *addresses, const char *address, int64_t now_us);
/** Static; empty: nothing. */
const char *untested_text(enum untested why);

#endif
