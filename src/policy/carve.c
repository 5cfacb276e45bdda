#include "policy/carve.h"

#include "base/arena.h"
#include "base/check.h"
#include "policy/match.h"
#include "policy/policy_impl.h"

#define SCRATCH_MAX ((size_t)256 << 20)
enum { SCRATCH_FIRST = 16 * 1024, IFACES_MAX = 256, QUERY_SHARE = 8, PUSH_COST = 30 };
#define LOCAL_BIT (UINT32_C(1) << 31)

/* What most rules are dismissed by, read in one go. */
struct key {
    uint32_t transports; /* LOCAL_BIT: unix sockets */
    uint32_t addr, mask; /* the first word; no mask: everything */
    uint32_t databases, users;
    sa_family_t family; /* AF_UNSPEC: not one network */
};

struct compiled {
    const struct hba_rule *rule;
    struct token host;       /* HBA_ADDR_NAME */
    struct pattern net;      /* HBA_ADDR_NET */
    struct token *databases; /* those that are not plain names first */
    struct token *users;
};

struct carver {
    const struct policy *policy;
    struct compiled *rules;
    struct key *keys;
    size_t n_regexes;
    struct pattern own[IFACES_MAX], nets[IFACES_MAX]; /* this machine's addresses, and networks */
    size_t n_ifaces;
    bool ifaces_known;
    int64_t left;
};

struct work {
    struct carver *c;
    const struct carve_query *query;
    struct arena scratch;
    struct boxing boxing;
    struct box *stack;
    size_t n, size;
    bool found, stop;
};

/* ---- rules, made ready ---- */

static uint32_t field_bits(const struct token *tokens, size_t n)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= tokens[i].bits;
    return bits;
}

static struct token *read_field(const struct hba_name *names, size_t n, bool user, struct arena *arena)
{
    struct token *tokens = arena_array(arena, n, sizeof *tokens);
    size_t at = 0;

    for (unsigned plain = 0; tokens && plain < 2; plain++) {
        for (size_t i = 0; i < n; i++) {
            struct token t = token_read(&names[i], user);
            if ((t.kind == HBA_NAME_EXACT) == plain)
                tokens[at++] = t;
        }
    }
    return tokens;
}

static struct pattern pattern_of(sa_family_t family, const uint8_t *addr, const uint8_t *mask)
{
    struct pattern p = { .family = family };

    for (size_t i = 0; i < (family == AF_INET ? 4u : 16u); i++) {
        p.mask[i] = mask[i];
        p.addr[i] = addr[i] & mask[i];
    }
    return p;
}

static bool has_regex(const struct token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (tokens[i].kind == HBA_NAME_REGEX)
            return true;
    return false;
}

static bool compile(struct carver *c, size_t i, struct arena *arena)
{
    const struct hba_rule *rule = &c->policy->rules[i];
    struct compiled *out = &c->rules[i];
    struct key *key = &c->keys[i];

    out->rule = rule;
    out->databases = read_field(rule->databases, rule->n_databases, false, arena);
    out->users = read_field(rule->users, rule->n_users, true, arena);
    if (!out->databases || !out->users)
        return false;
    out->host = token_of_name(rule->address.name);
    *key = (struct key){ .transports = rule->type == HBA_LOCAL ? LOCAL_BIT : hba_transports(rule->type),
                         .databases = field_bits(out->databases, rule->n_databases),
                         .users = field_bits(out->users, rule->n_users),
                         .family = AF_UNSPEC };
    if (rule->address.kind == HBA_ADDR_NET) {
        out->net = pattern_of(rule->address.family, rule->address.addr, rule->address.mask);
        key->family = rule->address.family;
        memcpy(&key->addr, out->net.addr, sizeof key->addr);
        memcpy(&key->mask, out->net.mask, sizeof key->mask);
    }
    c->n_regexes += has_regex(out->databases, rule->n_databases) || has_regex(out->users, rule->n_users);
    return true;
}

static bool keep_iface(void *arg, const struct iface *iface)
{
    static const uint8_t whole[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                       255, 255, 255, 255, 255, 255, 255, 255 };
    struct carver *c = arg;

    c->own[c->n_ifaces] = pattern_of(iface->family, iface->addr, whole);
    c->nets[c->n_ifaces] = pattern_of(iface->family, iface->addr, iface->mask);
    return ++c->n_ifaces < IFACES_MAX;
}

struct carver *carver_new(const struct policy *policy, const struct iface_source *ifaces, int64_t budget,
                          struct arena *arena)
{
    struct carver *c = ARENA_NEW(arena, struct carver);

    if (!c)
        return NULL;
    c->policy = policy;
    c->left = budget;
    c->rules = arena_array(arena, policy->n_rules, sizeof *c->rules);
    c->keys = arena_array(arena, policy->n_rules, sizeof *c->keys);
    if (!c->rules || !c->keys)
        return NULL;
    for (size_t i = 0; i < policy->n_rules; i++)
        if (!compile(c, i, arena))
            return NULL;
    c->ifaces_known = ifaces && ifaces->list(ifaces->ctx, keep_iface, c) && c->n_ifaces < IFACES_MAX;
    if (!c->ifaces_known)
        c->n_ifaces = 0;
    return c;
}

bool carver_pay(struct carver *c, int64_t cost)
{
    c->left -= cost;
    return c->left > 0;
}

size_t carver_regexes(const struct carver *c)
{
    return c->n_regexes;
}

/* ---- the stack ---- */

static void push(struct work *w, const struct box *box)
{
    struct box *stack = arena_grow(&w->scratch, w->stack, w->n, &w->size, sizeof *stack);

    if (!stack) {
        w->boxing.nomem = true;
        return;
    }
    w->stack = stack;
    w->boxing.left -= PUSH_COST;
    w->stack[w->n++] = *box;
}

/* Addresses for documentation, which everybody takes for examples. */
static bool is_example(const struct pattern *p)
{
    static const struct pattern v4 = { AF_INET, { 203, 0, 113, 7 }, { 255, 255, 255, 255 } };
    static const struct pattern v6 = { AF_INET6,
                                       { 0x20, 0x01, 0x0D, 0xB8, [15] = 7 },
                                       { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
                                         255, 255 } };

    return pattern_meets(p, &v4) || pattern_meets(p, &v6);
}

/* What `net` leaves of the box's addresses: a box per bit that it gives and the box does not. */
static void push_outside(struct work *w, const struct box *box, const struct pattern *net)
{
    struct box inside = *box;
    size_t base = w->n;

    for (size_t i = 0; i < sizeof net->addr; i++) {
        for (unsigned bit = 0x80; bit > 0; bit >>= 1) {
            if (!(net->mask[i] & bit) || (inside.net.mask[i] & bit))
                continue;
            struct box piece = inside;
            piece.net.mask[i] |= (uint8_t)bit;
            inside.net.mask[i] |= (uint8_t)bit;
            if (net->addr[i] & bit)
                inside.net.addr[i] |= (uint8_t)bit;
            else
                piece.net.addr[i] |= (uint8_t)bit;
            push(w, &piece);
        }
    }
    if (w->boxing.nomem || w->n == base)
        return;
    /* The largest is next, unless another has an example. */
    size_t best = base;
    for (size_t i = base; i < w->n; i++)
        if (is_example(&w->stack[i].net))
            best = i;
    struct box swap = w->stack[best];
    w->stack[best] = w->stack[w->n - 1];
    w->stack[w->n - 1] = swap;
}

/* ---- one rule takes its part ---- */

/* What the rule leaves of a box within its addresses; false: it takes nothing of it. `put`: tell what it leaves. */
static bool take_names(struct work *w, const struct box *box, const struct compiled *by, bool put)
{
    struct boxing *b = &w->boxing;
    struct box rest = *box, before = *box;
    bool rest_left = true, taken = false;

    for (size_t d = 0; d < by->rule->n_databases && rest_left; d++) {
        const struct token *database = &by->databases[d];
        struct box inner = before;
        if (box_database(b, &inner, database, true)) {
            bool inner_left = true, inner_taken = false;
            struct box inner_rest = inner;
            for (size_t u = 0; u < by->rule->n_users && inner_left && !(inner_taken && !put); u++) {
                struct box both = by->users[u].kind == HBA_NAME_EXACT ? inner : inner_rest;
                inner_taken = inner_taken || box_user(b, &both, &by->users[u], true);
                inner_left = box_user(b, &inner_rest, &by->users[u], false);
            }
            taken = taken || inner_taken;
            if (taken && !put)
                return true;
            if (put && inner_left)
                push(w, &inner_rest);
        }
        rest_left = box_database(b, &rest, database, false);
        if (database->kind != HBA_NAME_EXACT)
            before = rest; /* plain names exclude each other by themselves */
    }
    if (put && rest_left)
        push(w, &rest);
    return taken;
}

/* Within one network. */
static void take_net(struct work *w, const struct box *box, const struct compiled *by,
                     const struct pattern *net)
{
    struct box inside = *box;

    if (!pattern_meets(&box->net, net)) {
        push(w, box);
        return;
    }
    inside.net = pattern_both(&box->net, net);
    (void)take_names(w, &inside, by, true);
    push_outside(w, box, net);
}

/* Of several networks each takes its part of what those before it have left. */
static void take_nets(struct work *w, const struct box *box, const struct compiled *by)
{
    size_t base = w->n;

    push(w, box);
    for (size_t k = 0; k < w->c->n_ifaces; k++) {
        size_t n = w->n;
        struct box *pieces = arena_array(&w->scratch, n - base + 1, sizeof *pieces);
        if (!pieces) {
            w->boxing.nomem = true;
            return;
        }
        memcpy(pieces, w->stack + base, (n - base) * sizeof *pieces);
        w->n = base;
        for (size_t i = 0; i < n - base; i++)
            take_net(w, &pieces[i], by, &w->c->nets[k]);
    }
}

/* By a name, or by what this machine's addresses are where nobody knows them. */
static void take_condition(struct work *w, const struct box *box, const struct compiled *by)
{
    enum hba_addr_kind kind = by->rule->address.kind;
    struct box with = *box, without = *box;

    if (kind == HBA_ADDR_NAME) {
        if (box_host(&w->boxing, &with, &by->host, true))
            (void)take_names(w, &with, by, true);
        if (box_host(&w->boxing, &without, &by->host, false))
            push(w, &without);
        return;
    }
    if (box_same_machine(&with, kind == HBA_ADDR_SAMEHOST, true))
        (void)take_names(w, &with, by, true);
    if (box_same_machine(&without, kind == HBA_ADDR_SAMEHOST, false))
        push(w, &without);
}

/* May the rule take any of the box's addresses? */
static bool address_meets(const struct work *w, const struct box *box, const struct compiled *by)
{
    switch (by->rule->address.kind) {
    case HBA_ADDR_NONE:
    case HBA_ADDR_ALL:
    case HBA_ADDR_NAME:
        return true;
    case HBA_ADDR_NET:
        return pattern_meets(&box->net, &by->net);
    case HBA_ADDR_SAMEHOST:
        return !w->query->from_network;
    case HBA_ADDR_SAMENET:
        break;
    }
    if (!w->query->from_network || !w->c->ifaces_known)
        return true;
    for (size_t i = 0; i < w->c->n_ifaces; i++)
        if (pattern_meets(&box->net, &w->c->nets[i]))
            return true;
    return false;
}

static void carve_take(struct work *w, const struct box *box, size_t index)
{
    const struct compiled *by = &w->c->rules[index];

    if (w->query->takers)
        w->query->takers[index] = 1;
    switch (by->rule->address.kind) {
    case HBA_ADDR_NONE:
    case HBA_ADDR_ALL:
        (void)take_names(w, box, by, true);
        return;
    case HBA_ADDR_NET:
        take_net(w, box, by, &by->net);
        return;
    case HBA_ADDR_SAMENET:
        if (w->query->from_network && w->c->ifaces_known) {
            take_nets(w, box, by);
            return;
        }
        break;
    case HBA_ADDR_SAMEHOST:
    case HBA_ADDR_NAME:
        break;
    }
    take_condition(w, box, by);
}

/* ---- all rules ---- */

/* The next earlier rule that may take something. */
static size_t next_taker(struct work *w, const struct box *box)
{
    const struct carve_query *q = w->query;
    uint32_t transport = q->local ? LOCAL_BIT : 1u << q->transport, addr, mask;
    uint32_t database = box->db.is && box->same <= 0 ? box->db.is->bits : 0;
    uint32_t user = box->user.is ? box->user.is->bits : 0;
    size_t i = box->next;

    memcpy(&addr, box->net.addr, sizeof addr);
    memcpy(&mask, box->net.mask, sizeof mask);
    for (; i < q->rule; i++) {
        const struct key *k = &w->c->keys[i];
        if ((k->transports & transport) && ((k->addr ^ addr) & k->mask & mask) == 0 &&
            (k->databases & database) == database && (k->users & user) == user &&
            (k->family == AF_UNSPEC || k->family == box->net.family) && !(q->passed && q->passed[i]))
            break;
    }
    w->boxing.left -= (int64_t)(i - box->next) * 2 + 1;
    return i;
}

static void carve_box(struct work *w, struct box box)
{
    while (!w->stop && !w->boxing.nomem && w->boxing.left > 0) {
        box.next = next_taker(w, &box);
        if (box.next >= w->query->rule) {
            w->found = true;
            w->stop = !w->query->left(w->query->ctx, &w->boxing, &box);
            return;
        }
        const struct compiled *by = &w->c->rules[box.next];
        size_t index = box.next++;
        if (address_meets(w, &box, by) && take_names(w, &box, by, false)) {
            carve_take(w, &box, index);
            return;
        }
    }
}

static void carve_from(struct work *w, const struct box *start)
{
    w->n = 0;
    push(w, start);
    while (w->n > 0 && !w->stop && !w->boxing.nomem && w->boxing.left > 0)
        carve_box(w, w->stack[--w->n]);
}

/* Addresses that no other machine's connection comes from. */
static bool drop_own(struct work *w, struct box *start)
{
    static const struct pattern nobody[] = {
        { AF_INET, { 0 }, { 255 } },
        { AF_INET, { 127 }, { 255 } },
        { AF_INET, { 224 }, { 224 } },
        { AF_INET6, { 0xFF }, { 0xFF } },
        { AF_INET6, { [10] = 0xFF, 0xFF }, { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255 } },
        { AF_INET6,
          { 0 },
          { 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 254 } },
    };
    size_t n = COUNT_OF(nobody) + w->c->n_ifaces;

    for (; start->next < n; start->next++) {
        size_t i = start->next;
        const struct pattern *p = i < COUNT_OF(nobody) ? &nobody[i] : &w->c->own[i - COUNT_OF(nobody)];
        if (!pattern_meets(&start->net, p))
            continue;
        start->next++;
        push_outside(w, start, p);
        return false;
    }
    start->next = 0;
    return true;
}

static void carve_network(struct work *w, const struct box *start)
{
    struct box *pieces = NULL;
    size_t n = 0, size = 0;

    w->n = 0;
    push(w, start);
    while (w->n > 0 && !w->boxing.nomem && w->boxing.left > 0) {
        struct box box = w->stack[--w->n];
        if (w->query->from_network && !drop_own(w, &box))
            continue;
        struct box *grown = arena_grow(&w->scratch, pieces, n, &size, sizeof *grown);
        if (!grown) {
            w->boxing.nomem = true;
            return;
        }
        pieces = grown;
        pieces[n++] = box;
    }
    for (size_t i = 0; i < n && !w->stop; i++)
        carve_from(w, &pieces[i]);
}

/* One name of each field. */
static void carve_names(struct work *w, struct box start)
{
    const struct compiled *rule = &w->c->rules[w->query->rule];

    for (size_t d = 0; d < rule->rule->n_databases; d++) {
        for (size_t u = 0; u < rule->rule->n_users && !w->stop; u++) {
            struct box box = start;
            box.physical = rule->databases[d].kind == HBA_NAME_REPLICATION;
            if (box_user(&w->boxing, &box, &rule->users[u], true) &&
                box_database(&w->boxing, &box, &rule->databases[d], true))
                carve_network(w, &box);
        }
    }
}

static void carve_address(struct work *w, struct box start)
{
    const struct compiled *rule = &w->c->rules[w->query->rule];
    const struct pattern *within = w->query->within;
    enum hba_addr_kind kind = rule->rule->address.kind;

    if (within && !pattern_meets(&start.net, within))
        return;
    if (within)
        start.net = pattern_both(&start.net, within);
    if (kind == HBA_ADDR_NAME && !box_host(&w->boxing, &start, &rule->host, true))
        return;
    if (kind == HBA_ADDR_SAMENET && w->query->from_network && w->c->ifaces_known) {
        for (size_t i = 0; i < w->c->n_ifaces && !w->stop; i++) {
            struct box near = start;
            if (!pattern_meets(&start.net, &w->c->nets[i]))
                continue;
            near.net = pattern_both(&start.net, &w->c->nets[i]);
            carve_names(w, near);
        }
        return;
    }
    if ((kind == HBA_ADDR_SAMEHOST || kind == HBA_ADDR_SAMENET) &&
        !box_same_machine(&start, kind == HBA_ADDR_SAMEHOST, true))
        return;
    carve_names(w, start);
}

enum carved carve(struct carver *c, const struct carve_query *query)
{
    static const sa_family_t families[] = { AF_INET, AF_INET6 };
    const struct compiled *rule = &c->rules[query->rule];
    struct work w = { .c = c, .query = query };
    int64_t budget = c->left / QUERY_SHARE;

    arena_init(&w.scratch, SCRATCH_MAX, SCRATCH_FIRST);
    w.boxing = (struct boxing){
        .arena = &w.scratch, .regexes = c->policy->regexes, .left = budget, .stranger = query->stranger
    };
    if (query->local)
        carve_address(&w, (struct box){ .net = { .family = AF_UNSPEC } });
    else if (rule->rule->address.kind == HBA_ADDR_NET)
        carve_address(&w, (struct box){ .net = rule->net });
    else
        for (size_t i = 0; i < COUNT_OF(families) && !w.stop; i++)
            carve_address(&w, (struct box){ .net = { .family = families[i] } });
    arena_fini(&w.scratch);
    c->left -= budget - w.boxing.left;
    if (w.stop)
        return CARVED_STOPPED;
    if (w.boxing.nomem || w.boxing.left <= 0)
        return CARVED_CUT;
    return w.found ? CARVED_ALL : CARVED_NOTHING;
}
