/*
 * The first rule whose type, address, database and user all fit decides, and they are looked at in this
 * order: a host-name rule asks the name service before it is known whether it concerns this user at all.
 *
 * Most rules are dismissed by their key (policy_impl.h) in a tight loop; only those that may fit, and those
 * whose looking at has an effect (host names), are looked at in full. With a trace, all are. [src: PostgreSQL
 * 18, hba.c check_hba, check_db, check_role, check_hostname, check_ip]
 */

#include "policy/match.h"

#include "base/check.h"
#include "policy/policy_impl.h"
#include "policy/token.h"

#include <stdlib.h>

/* Kinds of connection, as bits of rule_keys.classes; physical replication has its own set after these. */
enum {
    CLASS_LOCAL,
    CLASS_V4, /* then TLS, then GSS */
    CLASS_V6 = CLASS_V4 + 3,
    CLASS_OTHER = CLASS_V6 + 3,
    CLASS_PHYSICAL = CLASS_OTHER + 3,
};

/* A connection in the form of keys, the same in all lanes. */
struct probe {
    key_lanes class_bit;
    key_lanes addr;
    key_lanes database;
    key_lanes user;
};

static key_lanes lanes_of(uint32_t v)
{
    return (key_lanes){ v, v, v, v };
}

/** The bits of a field: of all its names, or all of them where one is not a plain name. */
static uint32_t field_bits(const struct hba_name *names, size_t n, bool user)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < n; i++)
        bits |= token_read(&names[i], user).bits;
    return bits;
}

static uint32_t first_word(const uint8_t *addr)
{
    uint32_t word;

    memcpy(&word, addr, sizeof word);
    return word;
}

/** The peer's address bytes; NULL for a family without. */
static const uint8_t *peer_bytes(const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET)
        return (const uint8_t *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
    if (peer->ss_family == AF_INET6)
        return (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    return NULL;
}

/* ---- keys ---- */

uint32_t hba_transports(enum hba_type type)
{
    switch (type) {
    case HBA_LOCAL:
        return 0;
    case HBA_HOST:
        return 1u << TRANSPORT_PLAIN | 1u << TRANSPORT_TLS | 1u << TRANSPORT_GSS;
    case HBA_HOSTSSL:
        return 1u << TRANSPORT_TLS;
    case HBA_HOSTNOSSL:
        return 1u << TRANSPORT_PLAIN | 1u << TRANSPORT_GSS;
    case HBA_HOSTGSSENC:
        return 1u << TRANSPORT_GSS;
    case HBA_HOSTNOGSSENC:
        return 1u << TRANSPORT_PLAIN | 1u << TRANSPORT_TLS;
    }
    UNREACHABLE();
}

static uint32_t classes_of(const struct hba_rule *rule)
{
    uint32_t bits = hba_transports(rule->type);
    bool net = rule->address.kind == HBA_ADDR_NET;
    bool physical = false, ordinary = false;
    uint32_t classes = 0;

    if (rule->type == HBA_LOCAL)
        classes = 1u << CLASS_LOCAL;
    if (!net || rule->address.family == AF_INET)
        classes |= bits << CLASS_V4;
    if (!net || rule->address.family == AF_INET6)
        classes |= bits << CLASS_V6;
    if (!net)
        classes |= bits << CLASS_OTHER;
    for (size_t i = 0; i < rule->n_databases; i++) {
        physical |= rule->databases[i].kind == HBA_NAME_REPLICATION;
        ordinary |= rule->databases[i].kind != HBA_NAME_REPLICATION;
    }
    if (rule->address.kind == HBA_ADDR_NAME)
        physical = ordinary = true;
    return (ordinary ? classes : 0) | (physical ? classes << CLASS_PHYSICAL : 0);
}

enum code policy_index(struct policy *policy)
{
    size_t blocks = (policy->n_rules + KEY_LANES - 1) / KEY_LANES;

    policy->keys = arena_array(&policy->arena, blocks, sizeof *policy->keys);
    if (!policy->keys)
        return E_NOMEM;
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct hba_rule *rule = &policy->rules[i];
        struct rule_keys *keys = &policy->keys[i / KEY_LANES];
        size_t lane = i % KEY_LANES;
        bool name = rule->address.kind == HBA_ADDR_NAME;
        keys->classes[lane] = classes_of(rule);
        if (rule->address.kind == HBA_ADDR_NET) {
            keys->addr[lane] = first_word(rule->address.addr);
            keys->mask[lane] = first_word(rule->address.mask);
        }
        keys->databases[lane] = name ? UINT32_MAX : field_bits(rule->databases, rule->n_databases, false);
        keys->users[lane] = name ? UINT32_MAX : field_bits(rule->users, rule->n_users, true);
    }
    return OK;
}

static struct probe probe_of(const struct conn_facts *facts)
{
    const uint8_t *addr = facts->is_local ? NULL : peer_bytes(&facts->peer);
    unsigned transport = facts->tls ? TRANSPORT_TLS : facts->gss ? TRANSPORT_GSS : TRANSPORT_PLAIN;
    unsigned class = CLASS_OTHER + transport;

    if (facts->is_local)
        class = CLASS_LOCAL;
    else if (addr)
        class = (facts->peer.ss_family == AF_INET ? CLASS_V4 : CLASS_V6) + transport;
    if (facts->replication == REPLICATION_PHYSICAL)
        class += CLASS_PHYSICAL;
    return (struct probe){
        .class_bit = lanes_of(1u << class),
        .addr = lanes_of(addr ? first_word(addr) : 0),
        .database = lanes_of(token_name_bits(facts->database)),
        .user = lanes_of(token_name_bits(facts->user)),
    };
}

/** The first rule from `from` on that may fit; n_rules: none. */
static size_t next_candidate(const struct policy *policy, const struct probe *probe, size_t from)
{
    size_t blocks = (policy->n_rules + KEY_LANES - 1) / KEY_LANES;
    uint64_t halves[2];

    for (size_t b = from / KEY_LANES; b < blocks; b++) {
        const struct rule_keys *keys = &policy->keys[b];
        key_lanes misses = (key_lanes)((keys->classes & probe->class_bit) == lanes_of(0)) |
                           ((keys->addr ^ probe->addr) & keys->mask) |
                           ((keys->databases & probe->database) ^ probe->database) |
                           ((keys->users & probe->user) ^ probe->user);
        key_lanes hits = (key_lanes)(misses == lanes_of(0));
        _Static_assert(sizeof halves == sizeof hits, "one vector is two words");
        memcpy(halves, &hits, sizeof hits);
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (size_t lane = 0; lane < KEY_LANES; lane++)
            if (hits[lane] && b * KEY_LANES + lane >= from)
                return b * KEY_LANES + lane;
    }
    return policy->n_rules;
}

/* ---- a rule in full ---- */

struct match {
    const struct policy *policy;
    const struct conn_facts *facts;
    struct decision *out;
};

static bool type_fits(const struct hba_rule *rule, const struct conn_facts *facts)
{
    unsigned transport = facts->tls ? TRANSPORT_TLS : facts->gss ? TRANSPORT_GSS : TRANSPORT_PLAIN;

    if (rule->type == HBA_LOCAL || facts->is_local)
        return rule->type == HBA_LOCAL && facts->is_local;
    return (hba_transports(rule->type) >> transport & 1u) != 0;
}

static bool in_net(const struct sockaddr_storage *peer, sa_family_t family, const uint8_t *addr,
                   const uint8_t *mask)
{
    const uint8_t *bytes = peer_bytes(peer);
    size_t n = family == AF_INET ? 4 : 16;

    if (!bytes || peer->ss_family != family)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((bytes[i] ^ addr[i]) & mask[i])
            return false;
    return true;
}

struct iface_search {
    const struct sockaddr_storage *peer;
    bool host; /* samehost: the address itself; else its network */
    bool found;
};

static bool compare_iface(void *arg, const struct iface *iface)
{
    static const uint8_t whole[16] = { 255, 255, 255, 255, 255, 255, 255, 255,
                                       255, 255, 255, 255, 255, 255, 255, 255 };
    struct iface_search *s = arg;

    s->found = in_net(s->peer, iface->family, iface->addr, s->host ? whole : iface->mask);
    return !s->found;
}

static bool iface_fits(const struct conn_facts *facts, bool host)
{
    const struct iface_source *source = facts->ifaces ? facts->ifaces : &iface_system;
    struct iface_search search = { &facts->peer, host, false };

    return source->list(source->ctx, compare_iface, &search) && search.found;
}

bool hba_host_name_fits(struct str pattern, struct str name)
{
    if (!str_starts(pattern, STR(".")))
        return str_equal_nocase(pattern, name);
    return name.n >= pattern.n && str_equal_nocase(pattern, str_from(name, name.n - pattern.n));
}

/** A failed lookup fails every later host-name rule of the connection; a mere other name only this one. */
static enum code name_fits(const struct match *m, struct str pattern, bool *out)
{
    const struct name_lookup *lookup = &m->facts->lookup;

    *out = false;
    switch (lookup->state) {
    case NAME_NOT_LOOKED_UP:
        m->out->need = MATCH_NEED_REVERSE;
        return E_NEED_NAME;
    case NAME_REVERSE:
        if (!hba_host_name_fits(pattern, lookup->name))
            return OK;
        m->out->need = MATCH_NEED_FORWARD;
        return E_NEED_NAME;
    case NAME_CONFIRMED:
        *out = hba_host_name_fits(pattern, lookup->name);
        return OK;
    case NAME_MISMATCH:
    case NAME_REVERSE_FAILED:
    case NAME_FORWARD_FAILED:
        return OK;
    }
    UNREACHABLE();
}

static enum code address_fits(const struct match *m, const struct hba_addr *addr, bool *out)
{
    switch (addr->kind) {
    case HBA_ADDR_NONE:
    case HBA_ADDR_ALL:
        *out = true;
        return OK;
    case HBA_ADDR_SAMEHOST:
    case HBA_ADDR_SAMENET:
        *out = iface_fits(m->facts, addr->kind == HBA_ADDR_SAMEHOST);
        return OK;
    case HBA_ADDR_NET:
        *out = in_net(&m->facts->peer, addr->family, addr->addr, addr->mask);
        return OK;
    case HBA_ADDR_NAME:
        return name_fits(m, addr->name, out);
    }
    UNREACHABLE();
}

/** As in the server, an engine that gives up means "no match". */
static enum code regex_fits(const struct policy *policy, const struct hba_name *name, struct str subject,
                            bool *out)
{
    struct regex_match found = { .matched = false };
    enum code code = regex_search(policy->regexes, name->regex, subject, &found, NULL);

    *out = found.matched;
    return code == E_REGEX ? OK : code;
}

/* True when `role` is in the set. */
static bool role_set_has(const struct role_set *set, struct str role)
{
    size_t low = 0, high = set->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(role, set->names[middle]);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

/* Is the user a member? */
static enum code is_member(const struct role_set *roles, struct str role, bool *out)
{
    if (!roles)
        return E_NEED_ROLES;
    *out = role_set_has(roles, role);
    return OK;
}

static enum code database_fits(const struct match *m, const struct hba_name *name, bool *out)
{
    const struct conn_facts *facts = m->facts;

    if (facts->replication == REPLICATION_PHYSICAL) {
        *out = name->kind == HBA_NAME_REPLICATION;
        return OK;
    }
    switch (name->kind) {
    case HBA_NAME_ALL:
        *out = true;
        return OK;
    case HBA_NAME_SAMEUSER:
        *out = str_equal(facts->database, facts->user);
        return OK;
    case HBA_NAME_SAMEROLE:
        return is_member(facts->roles, facts->database, out);
    case HBA_NAME_REPLICATION:
        *out = false;
        return OK;
    case HBA_NAME_REGEX:
        return regex_fits(m->policy, name, facts->database, out);
    case HBA_NAME_EXACT:
    case HBA_NAME_MEMBER:
        break;
    }
    *out = str_equal(name->text, facts->database);
    return OK;
}

enum code hba_user_fits(const struct policy *policy, const struct hba_name *name, struct str user,
                        const struct role_set *roles, bool *out)
{
    switch (name->kind) {
    case HBA_NAME_ALL:
        *out = true;
        return OK;
    case HBA_NAME_MEMBER:
        return is_member(roles, str_from(name->text, 1), out);
    case HBA_NAME_REGEX:
        return regex_fits(policy, name, user, out);
    case HBA_NAME_EXACT:
    case HBA_NAME_SAMEUSER:
    case HBA_NAME_SAMEROLE:
    case HBA_NAME_REPLICATION:
        break;
    }
    *out = str_equal(name->text, user);
    return OK;
}

static enum code rule_fits(const struct match *m, const struct hba_rule *rule, enum match_field *out_failed)
{
    bool fits = type_fits(rule, m->facts);

    *out_failed = FIELD_TYPE;
    if (!fits)
        return OK;
    *out_failed = FIELD_ADDRESS;
    TRY(address_fits(m, &rule->address, &fits));
    if (!fits)
        return OK;
    *out_failed = FIELD_DATABASE;
    fits = false;
    for (size_t i = 0; i < rule->n_databases && !fits; i++)
        TRY(database_fits(m, &rule->databases[i], &fits));
    if (!fits)
        return OK;
    *out_failed = FIELD_USER;
    fits = false;
    for (size_t i = 0; i < rule->n_users && !fits; i++)
        TRY(hba_user_fits(m->policy, &rule->users[i], m->facts->user, m->facts->roles, &fits));
    if (fits)
        *out_failed = FIELD_NONE;
    return OK;
}

enum code policy_match(const struct policy *policy, const struct conn_facts *facts, struct trace *trace,
                       struct decision *out)
{
    const struct match m = { policy, facts, out };
    const struct probe probe = probe_of(facts);
    enum match_field failed;

    *out = (struct decision){ .verdict = VERDICT_NO_RULE };
    for (size_t i = 0; i < policy->n_rules; i++) {
        if (!trace)
            i = next_candidate(policy, &probe, i);
        if (i == policy->n_rules)
            break;
        enum code code = rule_fits(&m, &policy->rules[i], &failed);
        if (code == E_NEED_ROLES)
            out->need = MATCH_NEED_ROLES;
        TRY(code);
        if (trace)
            trace->rule(trace->arg, &policy->rules[i], failed);
        if (failed != FIELD_NONE)
            continue;
        out->verdict = VERDICT_RULE;
        out->rule = &policy->rules[i];
        return OK;
    }
    return OK;
}
