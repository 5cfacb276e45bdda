/**
 * Who is ready for the new CA, judged by what a gate has seen. Knows no gate: rows in, verdicts out.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_READY_H
#define PGSEAL_RENEW_ROLLOVER_READY_H

#include "base/err.h"

struct arena;

/** A user at an address with an application. Times are 0 where there is none; texts are borrowed.
 * What is compared with other evidence is in microseconds: a client may refuse and accept within one second. */
struct rollover_client {
    struct str user;    /* empty: it left before it named one; what it did counts for its whole address */
    struct str address; /* empty: a Unix-domain socket, which has no TLS */
    struct str application;
    struct str sslmode;  /* "disable": it never asks for TLS */
    bool tls;            /* it has sent a StartupMessage inside TLS */
    struct str verifies; /* "yes", "chain only", "no", "unknown" */
    int64_t verified_unix_s;
    int64_t next_us;   /* it has sent a StartupMessage behind the new CA's chain */
    int64_t failed_us; /* its address has refused that chain */
    struct str cert_issuer;
    int64_t cert_end_unix_s;
    struct str
        not_tested; /* what keeps its address from being shown another chain now; empty: nothing, or not known */
    int64_t seen_unix_s;
    bool admitted; /* at least once; who never was is a stranger */
};

/*  state      word            */
#define ROLLOVER_READINESS(X)                                                                                \
    X(OLD, "old only")                                                                                       \
    X(CERT, "old certificate")                                                                               \
    X(UNPROVED, "not proved")                                                                                \
    X(UNKNOWN, "unknown")                                                                                    \
    X(READY, "ready")

enum rollover_readiness {
#define X(state, word) ROLLOVER_READY_##state,
    ROLLOVER_READINESS(X)
#undef X
};
/** "old only", "old certificate", "not proved", "unknown", "ready". */
const char *rollover_readiness_name(enum rollover_readiness state);

enum rollover_breaks { ROLLOVER_BREAKS_NO, ROLLOVER_BREAKS_MAYBE, ROLLOVER_BREAKS_YES };
/** "no", "maybe", "yes". */
const char *rollover_breaks_name(enum rollover_breaks breaks);

struct rollover_verdict {
    const struct rollover_client *client;
    enum rollover_readiness state;
    enum rollover_breaks breaks; /* when the old CA goes away now */
    const char *why;             /* a sentence without subject and period */
    bool recent;                 /* seen in time to count */
    bool accepted;               /* the operator goes on without it */
};

/** All borrowed. */
struct rollover_evidence {
    const struct rollover_client *clients;
    size_t n;
    const struct str *old_names; /* subjects of the old roots, as pg_stat_ssl has them */
    size_t n_old;
    const struct str *next_names;
    size_t n_next;
    bool own;         /* the CA is ours, which has no intermediates */
    bool server_side; /* clients verify the server with this CA */
    bool client_side; /* the server verifies clients with it */
    int64_t both_us;  /* evidence that is older is of another rollover */
    bool
        foreign_probe; /* what the gate shows as the next CA's chain is not of the new CA: it proves nothing */
    int64_t since_unix_s;     /* who was seen last before that does not count */
    const struct str *accept; /* users, addresses, applications */
    size_t n_accept;
};

struct rollover_verdicts {
    struct rollover_verdict *items; /* who is not ready first */
    size_t n;
    size_t waiting;  /* recent, not ready and not accepted */
    size_t breaking; /* of all recent ones that are not ready: those that may break or will */
};

/** E_NOMEM. */
MUST_CHECK enum code rollover_judge(const struct rollover_evidence *evidence, struct arena *arena,
                                    struct rollover_verdicts *out, struct err *e);

#endif
