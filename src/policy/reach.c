/*
 * A connection for a rule: what earlier rules leave of it (carve.h), made concrete, and put to policy_match().
 *
 * A name that is free gets one that no rule mentions; where an expression must take it, an example made from
 * the expression's own text. What the engine does not confirm is not known, and never "none".
 */
#include "policy/reach.h"

#include "base/arena.h"
#include "base/check.h"
#include "policy/carve.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

#include <stdlib.h>

enum {
    EXAMPLE_MAX = 64,
    BOXES_MAX = 64, /* per question: of those that nobody can make concrete */
    MATCH_COST_RULE = 2,
};
#define BUDGET ((int64_t)1000 * 1000 * 1000)

struct reach_search {
    const struct policy *policy;
    struct arena *arena;
    const struct iface_source *ifaces;
    struct carver *carver;
};

/* One question, and how far it has got. */
struct attempt {
    struct reach_search *search;
    const struct hba_rule *rule;
    struct conn_facts facts; /* of the box at hand */
    unsigned boxes;          /* that were looked at */
    bool found;
    bool nomem;
};

/* ---- names ---- */

/*
 * A text that the expression might match: its literal beginning, one character for what stands for one, the
 * first of alternatives. A guess; the engine has the last word.
 */
static struct str guess(struct str pattern, char out[EXAMPLE_MAX])
{
    static const char literal[] = "dws.";
    static const char meant[] = "0aa.";
    size_t n = 0;

    for (size_t i = 1; i < pattern.n && n + 1 < EXAMPLE_MAX; i++) {
        char c = pattern.p[i];
        if (c == '|')
            break;
        if (strchr("^$()", c))
            continue;
        if (strchr("*?", c)) {
            n -= n > 0;
        } else if (c == '{') {
            i += str_find(str_from(pattern, i), '}');
        } else if (c == '[') {
            out[n++] = i + 1 < pattern.n && pattern.p[i + 1] != '^' ? pattern.p[i + 1] : 'x';
            i += str_find(str_from(pattern, i), ']');
        } else if (c == '\\' && i + 1 < pattern.n) {
            const char *class = strchr(literal, pattern.p[++i]);
            out[n++] = class && *class ? meant[class - literal] : pattern.p[i];
        } else if (c != '+') {
            out[n++] = c == '.' ? 'x' : c;
        }
    }
    return str_of(out, n);
}

/* Is everything true of the name that is said of it? */
static bool name_fits(struct boxing *b, const struct names *names, struct str name)
{
    for (const struct said *s = names->others; s; s = s->next)
        if (str_equal(s->token->text, name))
            return false;
    for (const struct said *s = names->signs; s; s = s->next) {
        if (s->token->kind == HBA_NAME_REGEX && box_regex_takes(b, s->token, name) != s->yes)
            return false;
        if (s->token->kind == HBA_NAME_MEMBER && !s->yes && str_equal(s->token->text, name))
            return false;
    }
    return true;
}

/* One of the names that come of `base`; empty: none fits. */
static struct str try_base(struct boxing *b, const struct names *names, struct str base)
{
    static const char *const around[][2] = { { "", "" },   { "", "0" },  { "", "x" }, { "x", "" },
                                             { "", "_1" }, { "9-", "" }, { "", "Z" } };
    struct str text;

    for (size_t i = 0; i < COUNT_OF(around); i++) {
        if (!arena_printf(b->arena, &text, "%s%.*s%s", around[i][0], STR_ARG(base), around[i][1]))
            break;
        if (text.n > 0 && name_fits(b, names, text))
            return text;
    }
    return STR("");
}

static struct str name_for(struct boxing *b, const struct names *names, struct str usual)
{
    const struct str more[] = { STR("q"), STR("0"), STR("Somebody.Else"), STR("_") };
    struct str found = STR("");
    char text[EXAMPLE_MAX];

    if (names->is)
        return names->is->text;
    for (const struct said *s = names->signs; s && found.n == 0; s = s->next) {
        if (s->token->kind != HBA_NAME_REGEX || !s->yes)
            continue;
        struct str base = guess(s->token->text, text);
        if (arena_str(b->arena, base, &base))
            found = try_base(b, names, base);
    }
    if (found.n == 0)
        found = try_base(b, names, usual);
    for (size_t i = 0; i < COUNT_OF(more) && found.n == 0; i++)
        found = try_base(b, names, more[i]);
    return found;
}

/* ---- a box, made concrete ---- */

static void set_peer(struct conn_facts *facts, const struct pattern *net)
{
    static const uint8_t v4[4] = { 203, 0, 113, 7 }, v6[16] = { 0x20, 0x01, 0x0D, 0xB8, [15] = 7 };
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&facts->peer;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&facts->peer;
    size_t n = net->family == AF_INET ? sizeof v4 : sizeof v6;
    struct pattern example = { .family = net->family };
    uint8_t addr[16];

    memcpy(addr, net->addr, sizeof addr);
    memcpy(example.addr, net->family == AF_INET ? v4 : v6, n);
    memset(example.mask, 0xFF, n);
    if (pattern_meets(net, &example))
        memcpy(addr, example.addr, sizeof addr);
    else if (!(net->mask[n - 1] & 1)) /* many do not give the first address to a machine */
        addr[n - 1] |= 1;
    memset(&facts->peer, 0, sizeof facts->peer);
    facts->peer.ss_family = net->family;
    memcpy(net->family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr, addr, n);
}

/* The longest pattern that must hold; a suffix gets something before it. */
static bool set_host(struct attempt *a, const struct box *box)
{
    struct str name = STR("");

    a->facts.lookup.state = NAME_REVERSE_FAILED;
    for (const struct said *s = box->hosts; s; s = s->next)
        if (s->yes && s->token->text.n > name.n)
            name = s->token->text;
    if (name.n == 0)
        return true;
    a->facts.lookup.state = NAME_CONFIRMED;
    if (str_starts(name, STR(".")))
        return arena_printf(a->search->arena, &a->facts.lookup.name, "some-host%.*s", STR_ARG(name));
    a->facts.lookup.name = name;
    return true;
}

static int order(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* The user is a member of himself, and of what was said. */
static bool set_roles(struct attempt *a, const struct box *box)
{
    struct role_set *set = ARENA_NEW(a->search->arena, struct role_set);
    size_t n = 2, kept = 0;

    for (const struct said *s = box->user.signs; s; s = s->next)
        n++;
    struct str *names = arena_array(a->search->arena, n, sizeof *names);
    if (!set || !names)
        return false;
    n = 0;
    names[n++] = a->facts.user;
    if (box->role > 0)
        names[n++] = a->facts.database;
    for (const struct said *s = box->user.signs; s; s = s->next)
        if (s->token->kind == HBA_NAME_MEMBER && s->yes)
            names[n++] = s->token->text;
    qsort(names, n, sizeof *names, order);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !str_equal(names[kept - 1], names[i]))
            names[kept++] = names[i];
    *set = (struct role_set){ names, kept };
    a->facts.roles = set;
    return true;
}

/* A role of which the user is a member. */
static struct str usual_role(const struct box *box)
{
    for (const struct said *s = box->user.signs; s; s = s->next)
        if (s->token->kind == HBA_NAME_MEMBER && s->yes)
            return s->token->text;
    return STR("some_role");
}

static struct str database_for(struct boxing *b, const struct box *box, struct str user)
{
    if (box->physical)
        return STR("");
    if (box->same > 0)
        return user;
    return name_for(b, &box->db, box->role > 0 ? usual_role(box) : STR("somewhere"));
}

/* False: no names are known for it. */
static bool set_names(struct attempt *a, struct boxing *b, const struct box *box)
{
    struct str user = name_for(b, &box->user, STR("somebody")), database = database_for(b, box, user);

    if (user.n == 0)
        return false;
    if (!box->physical && (database.n == 0 || (box->same < 0 && str_equal(user, database))))
        return false;
    a->facts.replication = box->physical ? REPLICATION_PHYSICAL : REPLICATION_NONE;
    if (!arena_str(a->search->arena, user, &a->facts.user) ||
        !arena_str(a->search->arena, database, &a->facts.database) || !set_roles(a, box) ||
        !set_host(a, box)) {
        a->nomem = true;
        return false;
    }
    return true;
}

static bool pay_for_match(struct reach_search *s)
{
    return carver_pay(s->carver, (int64_t)s->policy->n_rules * MATCH_COST_RULE +
                                     (int64_t)carver_regexes(s->carver) * BOX_COST_REGEX);
}

static bool try_box(void *ctx, struct boxing *b, const struct box *box)
{
    struct attempt *a = ctx;
    struct decision decision;

    if (box->near == 0 && set_names(a, b, box) && pay_for_match(a->search)) {
        set_peer(&a->facts, &box->net);
        enum code code = policy_match(a->search->policy, &a->facts, NULL, &decision);
        a->nomem = a->nomem || code == E_NOMEM;
        a->found = code == OK && decision.verdict == VERDICT_RULE && decision.rule == a->rule;
    }
    return !a->found && !a->nomem && ++a->boxes < BOXES_MAX;
}

/* ---- the search ---- */

struct reach_search *reach_search_new(const struct policy *policy, const struct iface_source *ifaces,
                                      struct arena *arena)
{
    struct reach_search *s = ARENA_NEW(arena, struct reach_search);

    if (!s)
        return NULL;
    s->policy = policy;
    s->arena = arena;
    s->ifaces = ifaces;
    s->carver = carver_new(policy, ifaces, BUDGET, arena);
    return s->carver ? s : NULL;
}

enum code policy_reach(struct reach_search *search, const struct hba_rule *rule, bool tls, enum reach *out,
                       struct conn_facts *out_witness)
{
    struct attempt a = { .search = search, .rule = rule, .facts = { .tls = tls, .ifaces = search->ifaces } };
    const struct carve_query query = { .rule = rule->number - 1,
                                       .transport = tls ? TRANSPORT_TLS : TRANSPORT_PLAIN,
                                       .from_network = true,
                                       .left = try_box,
                                       .ctx = &a };

    *out = REACH_NONE;
    if (!(hba_transports(rule->type) >> query.transport & 1u) || rule->address.kind == HBA_ADDR_SAMEHOST)
        return OK;
    enum carved carved = carve(search->carver, &query);
    if (a.nomem)
        return E_NOMEM;
    if (a.found)
        *out_witness = a.facts;
    *out = a.found ? REACH_FOUND : carved == CARVED_NOTHING ? REACH_NONE : REACH_UNKNOWN;
    return OK;
}

static bool any_box(void *ctx, struct boxing *b, const struct box *box)
{
    (void)ctx, (void)b, (void)box;
    return false;
}

bool policy_takes(struct reach_search *search, const struct hba_rule *rule, const struct reach_part *part)
{
    struct pattern within = { .family = part->family };
    struct carve_query query = { .rule = rule->number - 1,
                                 .local = part->local,
                                 .transport = part->tls ? TRANSPORT_TLS : TRANSPORT_PLAIN,
                                 .within = part->local ? NULL : &within,
                                 .left = any_box };

    if (part->local ? rule->type != HBA_LOCAL : !(hba_transports(rule->type) >> query.transport & 1u))
        return false;
    memcpy(within.mask, part->mask, sizeof within.mask);
    for (size_t i = 0; i < sizeof within.addr; i++)
        within.addr[i] = part->addr[i] & part->mask[i];
    return carve(search->carver, &query) != CARVED_NOTHING;
}
