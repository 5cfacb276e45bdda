/*
 * A connection for a rule: candidates from the rule's own fields, put to policy_match().
 *
 * Which addresses to try: where earlier rules take parts of a network away, what is left of it begins at its
 * first address or right behind one of those parts. So these few stand for all of them, where masks are CIDR.
 * Which names to try: those of the rule; where it takes all, a name that no rule mentions is taken by the
 * fewest others. A regular expression gets an example, made from its own text.
 */
#include "policy/reach.h"

#include "base/check.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

#include <arpa/inet.h>

enum {
    TRIES_PER_RULE = 4096,
    TRIES_MAX = 64 * 1024, /* of one analysis: 20 µs each on 10,000 rules */
    IFACES_MAX = 256,
    EXAMPLE_MAX = 64
};

struct reach_search {
    const struct policy *policy;
    struct arena *arena;
    struct iface ifaces[IFACES_MAX]; /* this machine's */
    size_t n_ifaces;
    struct iface_source source; /* of the copy above */
    unsigned left;              /* of TRIES_MAX */
};

/* One question, and how far it has got. */
struct attempt {
    struct reach_search *search;
    const struct hba_rule *rule;
    struct conn_facts facts; /* of the candidate at hand */
    struct str role;         /* of which its user is a member; empty: only of himself */
    unsigned left;           /* of TRIES_PER_RULE */
    bool found;
    bool unknown;
    bool nomem;
};

/* ---- addresses ---- */

static size_t address_size(sa_family_t family)
{
    return family == AF_INET ? 4 : 16;
}

static bool in_net(const uint8_t *addr, const uint8_t *net, const uint8_t *mask, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((addr[i] ^ net[i]) & mask[i])
            return false;
    return true;
}

/* Another machine's address: not loopback, not one of our own, not one that no peer has. */
static bool from_network(const struct reach_search *s, sa_family_t family, const uint8_t *addr)
{
    static const uint8_t none[15] = { 0 };

    if (family == AF_INET && (addr[0] == 0 || addr[0] == 127 || addr[0] >= 224))
        return false;
    if (family == AF_INET6 && (addr[0] == 0xFF || (memcmp(addr, none, sizeof none) == 0 && addr[15] <= 1)))
        return false;
    for (size_t i = 0; i < s->n_ifaces; i++)
        if (s->ifaces[i].family == family && memcmp(s->ifaces[i].addr, addr, address_size(family)) == 0)
            return false;
    return true;
}

static void set_peer(struct conn_facts *facts, sa_family_t family, const uint8_t *addr)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&facts->peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&facts->peer;

    memset(&facts->peer, 0, sizeof facts->peer);
    facts->peer.ss_family = family;
    memcpy(family == AF_INET ? (void *)&v4->sin_addr : (void *)&v6->sin6_addr, addr, address_size(family));
}

/* The next address; false behind the last one. */
static bool increment(uint8_t *addr, size_t n)
{
    while (n > 0)
        if (++addr[--n] != 0)
            return true;
    return false;
}

/* ---- names ---- */

static void try_rule(struct attempt *a)
{
    struct decision decision;

    if (a->left == 0 || a->search->left == 0) {
        a->unknown = true;
        return;
    }
    a->left--;
    a->search->left--;
    enum code code = policy_match(a->search->policy, &a->facts, NULL, &decision);
    if (code == E_NOMEM)
        a->nomem = true;
    else if (code == OK && decision.verdict == VERDICT_RULE && decision.rule == a->rule)
        a->found = true;
}

static bool over(const struct attempt *a)
{
    return a->found || a->nomem || a->left == 0 || a->search->left == 0;
}

/* The user is a member of himself and of `role`. */
static void set_roles(struct attempt *a, struct str role)
{
    struct role_set *set = ARENA_NEW(a->search->arena, struct role_set);
    struct str *names = arena_array(a->search->arena, 2, sizeof *names);
    bool both = role.n > 0 && !str_equal(role, a->facts.user);
    bool first = both && str_compare(role, a->facts.user) < 0;

    a->role = role;
    a->facts.roles = set;
    if (!set || !names) {
        a->nomem = true;
        return;
    }
    names[first ? 1 : 0] = a->facts.user;
    if (both)
        names[first ? 0 : 1] = role;
    *set = (struct role_set){ names, both ? 2 : 1 };
}

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

/* E_UNDEFINED: nothing is known that fits. */
static enum code example_of(struct attempt *a, const struct hba_name *regex, struct str *out)
{
    char text[EXAMPLE_MAX];
    struct regex_match match = { .matched = false };

    *out = guess(regex->text, text);
    enum code code = regex_search(a->search->policy->regexes, regex->regex, *out, &match, NULL);
    if (code == E_NOMEM || (match.matched && out->n > 0 && !arena_str(a->search->arena, *out, out)))
        return E_NOMEM;
    return code == OK && match.matched && out->n > 0 ? OK : E_UNDEFINED;
}

static struct str unmentioned(struct str first, struct str second, unsigned round)
{
    return round == 0 ? first : second;
}

enum { ROUNDS = 2 }; /* names that nobody mentions: an expression may happen to fit one of them */

/* One token of the database field, for the user at hand. */
static void try_database(struct attempt *a, const struct hba_name *name)
{
    struct conn_facts *facts = &a->facts;
    enum code code;

    facts->replication = name->kind == HBA_NAME_REPLICATION ? REPLICATION_PHYSICAL : REPLICATION_NONE;
    switch (name->kind) {
    case HBA_NAME_ALL:
        for (unsigned round = 0; round < ROUNDS && !over(a); round++) {
            facts->database = unmentioned(STR("somewhere"), STR("9-elsewhere"), round);
            try_rule(a);
        }
        return;
    case HBA_NAME_SAMEUSER:
        facts->database = facts->user;
        break;
    case HBA_NAME_SAMEROLE:
        if (a->role.n == 0)
            set_roles(a, STR("some_role"));
        facts->database = a->role;
        break;
    case HBA_NAME_REPLICATION:
        facts->database = STR("");
        break;
    case HBA_NAME_REGEX:
        code = example_of(a, name, &facts->database);
        a->unknown |= code != OK;
        a->nomem |= code == E_NOMEM;
        if (code != OK)
            return;
        break;
    case HBA_NAME_EXACT:
    case HBA_NAME_MEMBER:
        facts->database = name->text;
        break;
    }
    if (!over(a))
        try_rule(a);
}

static void try_databases(struct attempt *a, struct str user, struct str role)
{
    for (size_t i = 0; i < a->rule->n_databases && !over(a); i++) {
        a->facts.user = user;
        set_roles(a, role);
        if (!a->nomem)
            try_database(a, &a->rule->databases[i]);
    }
}

static void try_user(struct attempt *a, const struct hba_name *name)
{
    struct str example;
    enum code code;

    switch (name->kind) {
    case HBA_NAME_ALL:
        for (unsigned round = 0; round < ROUNDS && !over(a); round++)
            try_databases(a, unmentioned(STR("somebody"), STR("9-else"), round), STR(""));
        return;
    case HBA_NAME_MEMBER:
        try_databases(a, STR("somebody"), str_from(name->text, 1));
        return;
    case HBA_NAME_REGEX:
        code = example_of(a, name, &example);
        a->unknown |= code != OK;
        a->nomem |= code == E_NOMEM;
        if (code == OK)
            try_databases(a, example, STR(""));
        return;
    case HBA_NAME_EXACT:
    case HBA_NAME_SAMEUSER:
    case HBA_NAME_SAMEROLE:
    case HBA_NAME_REPLICATION:
        break;
    }
    try_databases(a, name->text, STR(""));
}

/* ---- candidates ---- */

static void try_address(struct attempt *a, sa_family_t family, const uint8_t *addr)
{
    const struct hba_addr *own = &a->rule->address;

    if (over(a) || !from_network(a->search, family, addr))
        return;
    if (own->kind == HBA_ADDR_NET &&
        (own->family != family || !in_net(addr, own->addr, own->mask, address_size(family))))
        return;
    set_peer(&a->facts, family, addr);
    for (size_t i = 0; i < a->rule->n_users && !over(a); i++)
        try_user(a, &a->rule->users[i]);
}

/* The first address of a network, and the one behind it: many do not give the first to a machine. */
static void try_first(struct attempt *a, const struct hba_addr *net)
{
    size_t n = address_size(net->family);
    uint8_t first[16] = { 0 }, second[16];

    for (size_t i = 0; i < n; i++)
        first[i] = net->addr[i] & net->mask[i];
    memcpy(second, first, sizeof second);
    if (increment(second, n))
        try_address(a, net->family, second);
    try_address(a, net->family, first);
}

/* The address behind a network. */
static void try_behind(struct attempt *a, const struct hba_addr *net)
{
    size_t n = address_size(net->family);
    uint8_t addr[16] = { 0 };

    for (size_t i = 0; i < n; i++)
        addr[i] = net->addr[i] | (uint8_t)~net->mask[i];
    if (increment(addr, n))
        try_address(a, net->family, addr);
}

/* Neighbours of this machine, where they belong to its networks. */
static void try_neighbours(struct attempt *a)
{
    const struct reach_search *s = a->search;

    for (size_t i = 0; i < s->n_ifaces; i++) {
        size_t n = address_size(s->ifaces[i].family);
        for (uint8_t bit = 2; bit > 0; bit >>= 1) {
            uint8_t addr[16];
            memcpy(addr, s->ifaces[i].addr, sizeof addr);
            addr[n - 1] ^= bit;
            if (in_net(addr, s->ifaces[i].addr, s->ifaces[i].mask, n))
                try_address(a, s->ifaces[i].family, addr);
        }
    }
}

static void try_everything(struct attempt *a)
{
    /* For documentation; then what begins behind the addresses that no peer has. */
    static const uint8_t v4[][4] = { { 203, 0, 113, 7 }, { 1, 0, 0, 0 }, { 128, 0, 0, 0 } };
    static const uint8_t v6[][16] = { { 0x20, 0x01, 0x0D, 0xB8, [15] = 7 }, { [15] = 2 } };
    const struct policy *policy = a->search->policy;
    const struct hba_addr *own = &a->rule->address;

    for (size_t i = 0; i < COUNT_OF(v4); i++)
        try_address(a, AF_INET, v4[i]);
    for (size_t i = 0; i < COUNT_OF(v6); i++)
        try_address(a, AF_INET6, v6[i]);
    if (own->kind == HBA_ADDR_NET)
        try_first(a, own);
    if (own->kind == HBA_ADDR_SAMENET)
        try_neighbours(a);
    for (size_t i = 0; i + 1 < a->rule->number && !over(a); i++)
        if (policy->rules[i].address.kind == HBA_ADDR_NET)
            try_behind(a, &policy->rules[i].address);
    for (size_t i = 0; i < a->search->n_ifaces && !over(a); i++) {
        const struct iface *iface = &a->search->ifaces[i];
        struct hba_addr net = { .family = iface->family };
        memcpy(net.addr, iface->addr, sizeof net.addr);
        memset(net.mask, 0xFF, sizeof net.mask);
        try_behind(a, &net); /* our own address */
        memcpy(net.mask, iface->mask, sizeof net.mask);
        try_behind(a, &net); /* our own network, which samenet takes */
    }
}

/* The name that the peer has: for rules about names the one they want. A suffix gets something before it. */
static enum code set_name(struct attempt *a)
{
    struct str name = a->rule->address.name;

    a->facts.lookup.state = NAME_REVERSE_FAILED;
    if (a->rule->address.kind != HBA_ADDR_NAME)
        return OK;
    a->facts.lookup.state = NAME_CONFIRMED;
    a->facts.lookup.name = name;
    if (str_starts(name, STR(".")) &&
        !arena_printf(a->search->arena, &a->facts.lookup.name, "some-host%.*s", STR_ARG(name)))
        return E_NOMEM;
    return OK;
}

/* ---- the search ---- */

static bool keep_iface(void *arg, const struct iface *iface)
{
    struct reach_search *s = arg;

    s->ifaces[s->n_ifaces++] = *iface;
    return s->n_ifaces < IFACES_MAX;
}

static bool list_kept(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    const struct reach_search *s = ctx;

    for (size_t i = 0; i < s->n_ifaces; i++)
        if (!each(arg, &s->ifaces[i]))
            break;
    return true;
}

struct reach_search *reach_search_new(const struct policy *policy, const struct iface_source *ifaces,
                                      struct arena *arena)
{
    struct reach_search *s = ARENA_NEW(arena, struct reach_search);

    if (!s)
        return NULL;
    s->policy = policy;
    s->arena = arena;
    s->source = (struct iface_source){ list_kept, s };
    s->left = TRIES_MAX;
    if (!ifaces->list(ifaces->ctx, keep_iface, s))
        s->n_ifaces = 0;
    return s;
}

enum code policy_reach(struct reach_search *search, const struct hba_rule *rule, bool tls, enum reach *out,
                       struct conn_facts *out_witness)
{
    struct attempt a = {
        .search = search,
        .rule = rule,
        .facts = { .tls = tls, .ifaces = &search->source },
        .left = TRIES_PER_RULE,
    };

    *out = REACH_NONE;
    if (!(hba_transports(rule->type) >> (tls ? TRANSPORT_TLS : TRANSPORT_PLAIN) & 1u) ||
        rule->address.kind == HBA_ADDR_SAMEHOST)
        return OK;
    TRY(set_name(&a));
    try_everything(&a);
    if (a.nomem)
        return E_NOMEM;
    if (a.found) {
        *out = REACH_FOUND;
        *out_witness = a.facts;
    } else if (a.unknown || a.left == 0 || search->left == 0) {
        *out = REACH_UNKNOWN;
    }
    return OK;
}
