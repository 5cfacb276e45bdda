/**
 * After a change: does every listener do what the rules promise? Asked from outside, as a client.
 */
#ifndef PGSEAL_HARDEN_PROVE_H
#define PGSEAL_HARDEN_PROVE_H

#include "harden/pair.h"
#include "harden/plan.h"

struct env;

enum { HARDEN_PROOFS_MAX = 16 };

/** The role that is asked for, and the database; no password is shown. */
#define HARDEN_STRANGER "postgres"

/** What was seen at one address. */
struct harden_proof {
    struct str endpoint; /* HOST:PORT */
    bool plain_refused;  /* sslmode=disable is, with… */
    struct str refusal;  /* the server's words */
    bool verified;       /* sslmode=verify-full with the CA's file: the server is who it says */
};

struct harden_proofs {
    struct harden_proof items[HARDEN_PROOFS_MAX];
    size_t n;
};

struct prove_params {
    const struct harden_plan *plan;
    const struct harden_target *target;
    const struct harden_names *names;
    const struct env *env;
    struct arena *arena; /* owns the texts */
};

/**
 * Try each TCP address that the server listens on, as far as it is this machine's.
 *
 * E_TLS, E_AUTH: one does something else, and `e` says what; E_CONNECT: none answers; E_NOMEM.
 */
MUST_CHECK enum code harden_prove(const struct prove_params *params, struct harden_proofs *out,
                                  struct err *e);

#endif
