#include "audit/map.h"

#include "audit/subject.h"
#include "base/arena.h"
#include "base/check.h"
#include "policy/policy.h"

#include <arpa/inet.h>

enum { RULES_SHOWN = 100, NETWORKS_SHOWN = 8, LABEL_MAX = 64 };

/* ---- columns ---- */

static bool is_loopback(const struct hba_addr *a)
{
    static const uint8_t one[16] = { [15] = 1 };

    return a->family == AF_INET ? a->addr[0] == 127 && a->mask[0] == 255
                                : memcmp(a->addr, one, sizeof one) == 0;
}

static bool in_rule(const struct hba_addr *net, sa_family_t family, const uint8_t *addr)
{
    if (net->kind != HBA_ADDR_NET || net->family != family)
        return false;
    for (size_t i = 0; i < (family == AF_INET ? 4u : 16u); i++)
        if ((net->addr[i] ^ addr[i]) & net->mask[i])
            return false;
    return true;
}

static unsigned bits_of(const uint8_t *mask, size_t n)
{
    unsigned bits = 0;

    for (size_t i = 0; i < n; i++)
        bits += (unsigned)__builtin_popcount(mask[i]);
    return bits;
}

static void map_add(struct rule_map *map, struct str label, const struct reach_part *part)
{
    for (unsigned tls = 0; tls < 2; tls++) {
        struct map_column *column = &map->columns[map->n_columns++];
        *column = (struct map_column){ label, *part };
        column->part.tls = tls == 1;
        if (part->local)
            return;
    }
}

static bool has_network(const struct rule_map *map, const struct hba_addr *a)
{
    for (size_t i = 0; i < map->n_columns; i++) {
        const struct reach_part *p = &map->columns[i].part;
        if (!p->local && p->family == a->family && memcmp(p->addr, a->addr, sizeof a->addr) == 0 &&
            memcmp(p->mask, a->mask, sizeof a->mask) == 0)
            return true;
    }
    return false;
}

static bool add_network(struct rule_map *map, const struct hba_addr *a, struct arena *arena)
{
    struct reach_part part = { .family = a->family };
    size_t n = a->family == AF_INET ? 4 : 16;
    char text[LABEL_MAX];
    struct str label;

    memcpy(part.addr, a->addr, sizeof part.addr);
    memcpy(part.mask, a->mask, sizeof part.mask);
    if (!inet_ntop(a->family, a->addr, text, sizeof text) ||
        !arena_printf(arena, &label, "%s/%u", text, bits_of(a->mask, n)))
        return false;
    map_add(map, label, &part);
    return true;
}

/* The networks that rules name, but for those that are this machine or everything. */
static bool add_networks(struct rule_map *map, const struct policy *policy, struct arena *arena)
{
    size_t n = 0;

    for (size_t i = 0; i < policy_rule_count(policy) && n < NETWORKS_SHOWN; i++) {
        const struct hba_addr *a = &policy_rule(policy, i)->address;
        if (a->kind != HBA_ADDR_NET || is_loopback(a) || bits_of(a->mask, sizeof a->mask) == 0 ||
            has_network(map, a))
            continue;
        if (!add_network(map, a, arena))
            return false;
        n++;
    }
    return true;
}

/* An address that stands for those that no rule names. */
static void add_others(struct rule_map *map, const struct policy *policy, struct str label,
                       sa_family_t family)
{
    static const uint8_t v4[][16] = {
        { 203, 0, 113, 7 }, { 198, 51, 100, 7 }, { 8, 8, 4, 4 }, { 61, 7, 7, 7 }
    };
    static const uint8_t v6[][16] = { { 0x20, 0x01, 0x0D, 0xB8, [15] = 7 },
                                      { 0x2A, 0, 0x77, 0x77, [15] = 7 } };
    size_t n = family == AF_INET ? COUNT_OF(v4) : COUNT_OF(v6);

    for (size_t k = 0; k < n; k++) {
        const uint8_t *addr = family == AF_INET ? v4[k] : v6[k];
        struct reach_part part = { .family = family };
        bool named = false;
        for (size_t i = 0; i < policy_rule_count(policy) && !named; i++) {
            const struct hba_addr *a = &policy_rule(policy, i)->address;
            named = bits_of(a->mask, sizeof a->mask) > 0 && in_rule(a, family, addr);
        }
        if (named)
            continue;
        memcpy(part.addr, addr, sizeof part.addr);
        memset(part.mask, 0xFF, family == AF_INET ? 4 : 16);
        map_add(map, label, &part);
        return;
    }
}

static bool draw_columns(struct rule_map *map, const struct policy *policy, struct arena *arena)
{
    static const struct reach_part local = { .local = true };
    static const struct reach_part here = { .family = AF_INET,
                                            .addr = { 127, 0, 0, 1 },
                                            .mask = { 255, 255, 255, 255 } };

    map->columns = arena_array(arena, 2 * (NETWORKS_SHOWN + 4), sizeof *map->columns);
    if (!map->columns)
        return false;
    map_add(map, STR("Unix-domain socket"), &local);
    map_add(map, STR("127.0.0.1"), &here);
    if (!add_networks(map, policy, arena))
        return false;
    add_others(map, policy, STR("other IPv4"), AF_INET);
    add_others(map, policy, STR("other IPv6"), AF_INET6);
    return true;
}

/* ---- cells ---- */

/* Is the rule about the part, whatever comes before it? */
static bool is_about(const struct hba_rule *rule, const struct reach_part *part)
{
    const struct hba_addr *a = &rule->address;

    if (part->local || rule->type == HBA_LOCAL)
        return part->local && rule->type == HBA_LOCAL;
    if ((rule->type == HBA_HOSTSSL && !part->tls) || (rule->type == HBA_HOSTNOSSL && part->tls) ||
        rule->type == HBA_HOSTGSSENC)
        return false;
    if (a->kind != HBA_ADDR_NET)
        return true;
    if (a->family != part->family)
        return false;
    for (size_t i = 0; i < (a->family == AF_INET ? 4u : 16u); i++)
        if ((a->addr[i] ^ part->addr[i]) & a->mask[i] & part->mask[i])
            return false;
    return true;
}

static bool draw_cells(struct rule_map *map, const struct audit_subject *subject, struct arena *arena)
{
    struct reach_search *search = reach_search_new(subject->policy, subject->ifaces, arena);
    size_t n = policy_rule_count(subject->policy);
    const struct hba_rule **rules;

    map->n_rules = n < RULES_SHOWN ? n : RULES_SHOWN;
    map->n_hidden = n - map->n_rules;
    map->rules = rules = arena_array(arena, map->n_rules, sizeof *rules);
    map->cells = arena_array(arena, map->n_rules * map->n_columns, 1);
    if (!search || !rules || !map->cells)
        return false;
    for (size_t i = 0; i < map->n_rules; i++) {
        rules[i] = policy_rule(subject->policy, i);
        for (size_t c = 0; c < map->n_columns; c++) {
            const struct reach_part *part = &map->columns[c].part;
            if (is_about(rules[i], part))
                map->cells[i * map->n_columns + c] = policy_takes(search, rules[i], part) ? MAP_DECIDES
                                                                                          : MAP_LOST;
        }
    }
    return true;
}

enum code rule_map_draw(const struct audit_subject *subject, struct arena *arena, struct rule_map *out)
{
    *out = (struct rule_map){ .n_rules = 0 };
    if (!subject->policy)
        return OK;
    return draw_columns(out, subject->policy, arena) && draw_cells(out, subject, arena) ? OK : E_NOMEM;
}
