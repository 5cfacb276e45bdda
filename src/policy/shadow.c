#include "policy/shadow.h"

#include "base/arena.h"
#include "policy/carve.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

#define BUDGET ((int64_t)1000 * 1000 * 1000)

enum { TAKERS_MAX = 64 }; /* of which the needless are looked for */

struct cover {
    const struct policy *policy;
    struct carver *carver;
    struct arena *arena;
    uint8_t *takers, *passed; /* per rule, as in struct carve_query */
};

static bool any_box(void *ctx, struct boxing *b, const struct box *box)
{
    (void)ctx, (void)b, (void)box;
    return false;
}

/* Do the earlier rules, but for those to be passed over, take everything? */
static bool is_taken(struct cover *c, size_t rule, bool only_some)
{
    enum hba_type type = c->policy->rules[rule].type;
    struct carve_query query = { .rule = rule,
                                 .local = type == HBA_LOCAL,
                                 .left = any_box,
                                 .takers = only_some ? NULL : c->takers,
                                 .passed = only_some ? c->passed : NULL };

    for (unsigned who = 0; who < 2; who++) {
        query.stranger = who == 1;
        for (query.transport = TRANSPORT_PLAIN; query.transport <= TRANSPORT_GSS; query.transport++)
            if ((query.local ? query.transport == TRANSPORT_PLAIN
                             : hba_transports(type) >> query.transport & 1u) &&
                carve(c->carver, &query) != CARVED_NOTHING)
                return false;
    }
    return true;
}

/* The earliest that does it alone. False: none. */
static bool find_single(struct cover *c, size_t rule, const unsigned *takers, size_t n)
{
    memset(c->passed, 1, rule);
    for (size_t i = 0; i < n; i++) {
        c->passed[takers[i] - 1] = 0;
        if (is_taken(c, rule, true)) {
            return true;
        }
        c->passed[takers[i] - 1] = 1;
    }
    return false;
}

/* Leave out what is not needed. */
static void find_several(struct cover *c, size_t rule, const unsigned *takers, size_t n)
{
    memset(c->passed, 1, rule);
    for (size_t i = 0; i < n; i++)
        c->passed[takers[i] - 1] = 0;
    for (size_t i = 0; i < n && n <= TAKERS_MAX; i++) {
        c->passed[takers[i] - 1] = 1;
        if (!is_taken(c, rule, true))
            c->passed[takers[i] - 1] = 0;
    }
}

static enum code name_takers(struct cover *c, size_t rule, struct shadow *out)
{
    unsigned *takers;
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < rule; i++)
        n += c->takers[i];
    takers = arena_array(c->arena, n, sizeof *takers);
    if (!takers)
        return E_NOMEM;
    n = 0;
    for (size_t i = 0; i < rule; i++)
        if (c->takers[i])
            takers[n++] = c->policy->rules[i].number;
    if (n > TAKERS_MAX || !find_single(c, rule, takers, n))
        find_several(c, rule, takers, n);
    for (size_t i = 0; i < n; i++)
        if (!c->passed[takers[i] - 1])
            takers[kept++] = takers[i];
    *out = (struct shadow){ takers, kept };
    return OK;
}

enum code policy_shadows(const struct policy *policy, struct arena *arena, const struct shadow **out)
{
    struct shadow *shadows = arena_array(arena, policy->n_rules, sizeof *shadows);
    struct cover c = { .policy = policy, .arena = arena };

    c.carver = carver_new(policy, NULL, BUDGET, arena);
    c.takers = arena_array(arena, policy->n_rules, 1);
    c.passed = arena_array(arena, policy->n_rules, 1);
    if (!shadows || !c.carver || !c.takers || !c.passed)
        return E_NOMEM;
    for (size_t i = 0; i < policy->n_rules; i++) {
        memset(c.takers, 0, policy->n_rules);
        if (is_taken(&c, i, false))
            TRY(name_takers(&c, i, &shadows[i]));
    }
    *out = shadows;
    return OK;
}
