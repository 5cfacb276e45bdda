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

struct harden_clients {
    struct rehearsal outcome;
    size_t blocking; /* that would be refused, and nobody has accepted it */
};

/** Would this one's loss stop a change? */
bool harden_client_blocks(const struct rehearsed_client *client, const struct harden_accepted *accepted);

/**
 * look_up  of rehearse_params, or NULL.
 * E_NOMEM.
 */
MUST_CHECK enum code harden_clients_play(const struct harden_plan *plan, const struct harden_seen *seen,
                                         const struct harden_accepted *accepted,
                                         struct rehearse_params *params, struct harden_clients *out);

#endif
