/**
 * The clients that were seen, replayed on the proposed rules.
 */
#ifndef PGSEAL_HARDEN_CLIENTS_H
#define PGSEAL_HARDEN_CLIENTS_H

#include "audit/rehearse.h"
#include "harden/plan.h"
#include "harden/server.h"

/** Those whose loss is accepted, by user, application or address. */
struct harden_accepted {
    const char *const *names;
    size_t n;
};

/** One that something becomes of. */
struct harden_client {
    const struct rehearsed_client *played;
    bool accepted; /* its loss is */
    bool blocks;   /* its loss stops a change */
};

struct harden_clients {
    size_t counts[REHEARSED_OUTCOMES];
    size_t today;                /* that the rules of today refuse already: no change is to blame */
    struct harden_client *items; /* all others that do not go on as before */
    size_t n;
    size_t blocking;
};

/**
 * params  `look_up` and `arena` are set.
 * E_NOMEM.
 */
MUST_CHECK enum code harden_clients_play(const struct harden_plan *plan, const struct harden_seen *seen,
                                         const struct harden_accepted *accepted,
                                         struct rehearse_params *params, struct harden_clients *out);

#endif
