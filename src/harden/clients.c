#include "harden/clients.h"

#include "base/check.h"

static bool accepts(const struct harden_accepted *accepted, const struct known_client *c)
{
    for (size_t i = 0; i < accepted->n; i++) {
        struct str name = str_c(accepted->names[i]);
        if (str_equal(name, c->user) || str_equal(name, c->application) ||
            (c->address.n > 0 && str_equal(name, c->address)))
            return true;
    }
    return false;
}

/* A standby of which nobody can tell is not put at risk, either. */
bool harden_client_blocks(const struct rehearsed_client *client, const struct harden_accepted *accepted)
{
    bool lost = client->outcome == REHEARSED_OUT ||
                (client->outcome == REHEARSED_UNKNOWN && client->client->replication);

    return lost && !accepts(accepted, client->client);
}

enum code harden_clients_play(const struct harden_plan *plan, const struct harden_seen *seen,
                              const struct harden_accepted *accepted, struct rehearse_params *params,
                              struct harden_clients *out)
{
    params->proposed = &plan->after.subject;
    params->current = &plan->before.subject;
    *out = (struct harden_clients){ .blocking = 0 };
    TRY(rehearse(params, &seen->known, &out->outcome));
    for (size_t i = 0; i < out->outcome.n; i++)
        out->blocking += harden_client_blocks(&out->outcome.items[i], accepted);
    return OK;
}
