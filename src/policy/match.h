/**
 * Facts about one connection × policy → the rule that governs it.
 *
 * Nothing outside struct conn_facts influences the decision. Nothing here waits: where PostgreSQL would ask
 * the name service or the catalogs, policy_match() answers E_NEED_NAME or E_NEED_ROLES; the caller looks it
 * up, adds it to the facts and calls again, and gets what PostgreSQL's own sequential evaluation would give.
 * [src: PostgreSQL 18, "The pg_hba.conf File"; hba.c check_hba, auth.c ClientAuthentication]
 */
#ifndef PGSEAL_POLICY_MATCH_H
#define PGSEAL_POLICY_MATCH_H

#include "base/err.h"
#include "pgwire/hello.h"
#include "policy/policy_impl.h"

#include <sys/socket.h>

struct policy;
struct hba_rule;

/**
 * The roles of which the user is a direct or indirect member, himself included, sorted by str_compare() and
 * without duplicates. Empty: no such role.
 */
struct role_set {
    const struct str *names;
    size_t n;
};

/** How far the peer's host name is known; one reverse and at most one forward lookup per connection. */
enum name_state {
    NAME_NOT_LOOKED_UP,
    NAME_REVERSE,        /* `name` is set, its addresses were not asked for yet */
    NAME_CONFIRMED,      /* one of the addresses of `name` is the peer's */
    NAME_MISMATCH,       /* none is */
    NAME_REVERSE_FAILED, /* `gai_error` says why; NI_NAMEREQD was asked for */
    NAME_FORWARD_FAILED, /* `name` is set, `gai_error` says why */
};

struct name_lookup {
    enum name_state state;
    struct str name;
    int gai_error; /* EAI_… */
};

/** One address and mask of a local interface. */
struct iface {
    sa_family_t family; /* AF_INET or AF_INET6 */
    uint8_t addr[16];
    uint8_t mask[16];
};

/** Where samehost and samenet get the interfaces from. */
struct iface_source {
    /** Call `each` per address until it returns false. Returns false when the list cannot be had. */
    bool (*list)(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg);
    void *ctx;
};

/** Reads the system's list at each call, as PostgreSQL does per connection. */
extern const struct iface_source iface_system;

/** Everything a decision uses. All borrowed. */
struct conn_facts {
    bool is_local; /* unix socket; `peer` does not matter then */
    bool tls;      /* final: ask only after TLS is settled */
    bool gss;      /* GSS encryption: never in the gate */
    enum replication replication;
    struct sockaddr_storage peer;
    struct str user;
    struct str database;
    const struct role_set *roles; /* NULL: not known yet */
    struct name_lookup lookup;
    const struct iface_source *ifaces; /* NULL: iface_system */
};

/** What must be looked up before the answer is known. */
enum match_need {
    MATCH_NEED_NOTHING,
    MATCH_NEED_REVERSE, /* the peer's name: then set lookup.state */
    MATCH_NEED_FORWARD, /* the addresses of lookup.name: then set lookup.state */
    MATCH_NEED_ROLES,   /* facts->roles */
};

enum verdict { VERDICT_RULE, VERDICT_NO_RULE };

struct decision {
    enum verdict verdict;
    const struct hba_rule *rule; /* VERDICT_RULE: the rule, whose method may be reject */
    enum match_need need;
};

/** The first field of a rule that did not fit, in PostgreSQL's order of checking. */
enum match_field { FIELD_NONE, FIELD_TYPE, FIELD_ADDRESS, FIELD_DATABASE, FIELD_USER };

/** Told of every rule examined, in order; `failed` is FIELD_NONE for the rule that matched. */
struct trace {
    void (*rule)(void *arg, const struct hba_rule *rule, enum match_field failed);
    void *arg;
};

/**
 * Find the rule that governs one connection.
 *
 * policy  borrowed, immutable.
 * facts   borrowed; call only after TLS is settled, `facts->tls` is final.
 * trace   NULL on the serving path; otherwise called once per rule examined (and again after E_NEED_…).
 * out     set on OK, E_NEED_NAME and E_NEED_ROLES; `out->rule` lives as long as the caller's reference.
 *
 * OK also means "no rule matched": see out->verdict. E_NEED_NAME and E_NEED_ROLES: out->need says what to
 * look up. E_NOMEM. Never blocks. Thread-safe. [src: PostgreSQL 18, "The pg_hba.conf File"; hba.c check_hba]
 */
MUST_CHECK enum code policy_match(const struct policy *policy, const struct conn_facts *facts,
                                  struct trace *trace, struct decision *out);

/** The transports that a type of TCP record takes, as bits 1 << TRANSPORT_…; 0 for `local`. */
uint32_t hba_transports(enum hba_type type);
/** Does a host name, or another pattern that stands for its names, fit the pattern of an address field? */
bool hba_host_name_fits(struct str pattern, struct str name);
/**
 * Does a token of a user field, or of a map's third field, mean this user?
 *
 * E_NEED_ROLES: memberships decide, and `roles` is NULL. E_NOMEM.
 */
MUST_CHECK enum code hba_user_fits(const struct policy *policy, const struct hba_name *name, struct str user,
                                   const struct role_set *roles, bool *out);
/** Fill policy->keys. */
MUST_CHECK enum code policy_index(struct policy *policy);

#endif
