#include "harden/clients.h"

#include "base/arena.h"

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
static bool is_lost(const struct rehearsed_client *c)
{
    return c->outcome == REHEARSED_OUT || (c->outcome == REHEARSED_UNKNOWN && c->client->replication);
}

/* By place in the list of known clients. */
static enum code refused_today(const struct harden_seen *seen, struct rehearse_params *params, bool **out)
{
    bool *refused = arena_array(params->arena, seen->known.n, sizeof *refused);
    struct rehearsal today;

    params->proposed = params->current;
    if (!refused || rehearse(params, &seen->known, &today) != OK)
        return E_NOMEM;
    for (size_t i = 0; i < today.n; i++)
        refused[today.items[i].client - seen->known.items] = today.items[i].outcome == REHEARSED_OUT;
    *out = refused;
    return OK;
}

enum code harden_clients_play(const struct harden_plan *plan, const struct harden_seen *seen,
                              const struct harden_accepted *accepted, struct rehearse_params *params,
                              struct harden_clients *out)
{
    struct rehearsal proposed;
    bool *today;

    params->proposed = &plan->after.subject;
    params->current = &plan->before.subject;
    *out = (struct harden_clients){ .items = arena_array(params->arena, seen->known.n, sizeof *out->items) };
    TRY(rehearse(params, &seen->known, &proposed));
    TRY(refused_today(seen, params, &today));
    if (!out->items)
        return E_NOMEM;
    for (size_t i = 0; i < proposed.n; i++) {
        const struct rehearsed_client *c = &proposed.items[i];
        if (today[c->client - seen->known.items]) {
            out->today++;
            continue;
        }
        out->counts[c->outcome]++;
        if (c->outcome == REHEARSED_IN)
            continue;
        bool accept = accepts(accepted, c->client), blocks = is_lost(c) && !accept;
        out->items[out->n++] = (struct harden_client){ c, is_lost(c) && accept, blocks };
        out->blocking += blocks;
    }
    return OK;
}
