/*
 * Does one rule take every connection that another could take?
 *
 * A rule is a product: transports × addresses × databases × users. It covers another when each of its factors
 * does, for every name of the other's lists. Only what must hold is claimed: `samehost` changes with the
 * machine and `+role` with the catalogs, so neither covers an address or a name written out.
 */
#include "policy/cover.h"

#include "policy/match.h"
#include "policy/policy_impl.h"
#include "policy/reach.h"

/* Work that one analysis may take, in units of about a nanosecond. */
enum { COST_PAIR = 2, COST_NAME = 5, COST_REGEX = 2000 };
#define COST_MAX ((int64_t)1000 * 1000 * 1000)

/* What most pairs are dismissed by, read in one go. */
struct cover_key {
    uint32_t transports; /* bit 31: unix sockets */
    uint32_t addr, mask; /* the first word; no mask: everything */
    sa_family_t family;  /* AF_UNSPEC: not a network */
};

struct cover {
    const struct policy *policy;
    const struct cover_key *keys;
    int64_t left; /* of COST_MAX */
};

/* ---- addresses ---- */

static bool net_covers(const struct hba_addr *outer, const struct hba_addr *inner)
{
    size_t n = outer->family == AF_INET ? 4 : 16;

    if (inner->kind != HBA_ADDR_NET || inner->family != outer->family)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((outer->mask[i] & (uint8_t)~inner->mask[i]) ||
            ((outer->addr[i] ^ inner->addr[i]) & outer->mask[i]))
            return false;
    return true;
}

static bool address_covers(const struct hba_addr *outer, const struct hba_addr *inner)
{
    switch (outer->kind) {
    case HBA_ADDR_NONE:
    case HBA_ADDR_ALL:
        return true;
    case HBA_ADDR_SAMEHOST:
        return inner->kind == HBA_ADDR_SAMEHOST;
    case HBA_ADDR_SAMENET:
        return inner->kind == HBA_ADDR_SAMEHOST || inner->kind == HBA_ADDR_SAMENET;
    case HBA_ADDR_NET:
        return net_covers(outer, inner);
    case HBA_ADDR_NAME:
        return inner->kind == HBA_ADDR_NAME && hba_host_name_fits(outer->name, inner->name);
    }
    return false;
}

/* ---- names ---- */

static bool regex_takes(struct cover *c, const struct hba_name *regex, struct str text)
{
    struct regex_match found = { .matched = false };

    c->left -= COST_REGEX;
    return c->left > 0 && regex_search(c->policy->regexes, regex->regex, text, &found, NULL) == OK &&
           found.matched;
}

/* One token by another, whatever the rest of the connection. */
static bool name_covers(struct cover *c, const struct hba_name *outer, const struct hba_name *inner)
{
    c->left -= COST_NAME;
    switch (outer->kind) {
    case HBA_NAME_ALL:
        return inner->kind != HBA_NAME_REPLICATION;
    case HBA_NAME_REGEX:
        return (inner->kind == HBA_NAME_REGEX && str_equal(outer->text, inner->text)) ||
               (inner->kind == HBA_NAME_EXACT && regex_takes(c, outer, inner->text));
    case HBA_NAME_SAMEUSER:
    case HBA_NAME_SAMEROLE:
    case HBA_NAME_REPLICATION:
        return inner->kind == outer->kind;
    case HBA_NAME_EXACT:
    case HBA_NAME_MEMBER:
        return inner->kind == outer->kind && str_equal(outer->text, inner->text);
    }
    return false;
}

/* `sameuser` is a plain name where the inner rule has but one user, and a plain name is `sameuser` there. */
static bool same_as_user(const struct hba_name *outer, const struct hba_name *inner,
                         const struct hba_rule *inner_rule)
{
    struct str user = inner_rule->users[0].text;

    if (inner_rule->n_users != 1 || inner_rule->users[0].kind != HBA_NAME_EXACT)
        return false;
    return (outer->kind == HBA_NAME_EXACT && inner->kind == HBA_NAME_SAMEUSER &&
            str_equal(outer->text, user)) ||
           (outer->kind == HBA_NAME_SAMEUSER && inner->kind == HBA_NAME_EXACT &&
            str_equal(inner->text, user));
}

static bool database_covered(struct cover *c, const struct hba_rule *outer, const struct hba_name *inner,
                             const struct hba_rule *inner_rule)
{
    for (size_t i = 0; i < outer->n_databases && c->left > 0; i++)
        if (name_covers(c, &outer->databases[i], inner) ||
            same_as_user(&outer->databases[i], inner, inner_rule))
            return true;
    return false;
}

static bool user_covered(struct cover *c, const struct hba_rule *outer, const struct hba_name *inner)
{
    for (size_t i = 0; i < outer->n_users && c->left > 0; i++)
        if (name_covers(c, &outer->users[i], inner))
            return true;
    return false;
}

/* ---- rules ---- */

static bool rule_covers(struct cover *c, const struct hba_rule *outer, const struct hba_rule *inner)
{
    if (!address_covers(&outer->address, &inner->address))
        return false;
    for (size_t i = 0; i < inner->n_databases; i++)
        if (!database_covered(c, outer, &inner->databases[i], inner))
            return false;
    for (size_t i = 0; i < inner->n_users; i++)
        if (!user_covered(c, outer, &inner->users[i]))
            return false;
    return true;
}

static struct cover_key key_of(const struct hba_rule *rule)
{
    struct cover_key key = { .family = AF_UNSPEC };

    key.transports = rule->type == HBA_LOCAL ? UINT32_C(1) << 31 : hba_transports(rule->type);
    if (rule->address.kind != HBA_ADDR_NET)
        return key;
    key.family = rule->address.family;
    memcpy(&key.addr, rule->address.addr, sizeof key.addr);
    memcpy(&key.mask, rule->address.mask, sizeof key.mask);
    return key;
}

static bool may_cover(const struct cover_key *outer, const struct cover_key *inner)
{
    return (inner->transports & ~outer->transports) == 0 &&
           (outer->family == AF_UNSPEC || outer->family == inner->family) &&
           (outer->mask & ~inner->mask) == 0 && ((outer->addr ^ inner->addr) & outer->mask) == 0;
}

static unsigned shadow_of(struct cover *c, size_t inner)
{
    for (size_t i = 0; i < inner && c->left > 0; i++) {
        c->left -= COST_PAIR;
        if (may_cover(&c->keys[i], &c->keys[inner]) &&
            rule_covers(c, &c->policy->rules[i], &c->policy->rules[inner]))
            return c->policy->rules[i].number;
    }
    return 0;
}

enum code policy_shadows(const struct policy *policy, struct arena *arena, const unsigned **out)
{
    unsigned *shadows = arena_array(arena, policy->n_rules, sizeof *shadows);
    struct cover_key *keys = arena_array(arena, policy->n_rules, sizeof *keys);
    struct cover cover = { .policy = policy, .keys = keys, .left = COST_MAX };

    if (!shadows || !keys)
        return E_NOMEM;
    for (size_t i = 0; i < policy->n_rules; i++)
        keys[i] = key_of(&policy->rules[i]);
    for (size_t i = 0; i < policy->n_rules; i++)
        shadows[i] = shadow_of(&cover, i);
    *out = shadows;
    return OK;
}
