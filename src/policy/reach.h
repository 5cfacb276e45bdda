/**
 * What the order of rules comes to: which of them can never decide, and which let somebody in over the
 * network.
 *
 * Two questions, both answered on the safe side. policy_shadows() names a shadow only where no connection
 * whatever can get past it. policy_reach() answers with a connection, and has asked policy_match() about it.
 */
#ifndef PGSEAL_POLICY_REACH_H
#define PGSEAL_POLICY_REACH_H

#include "policy/match.h"
#include "policy/policy.h"

struct arena;

enum reach {
    REACH_NONE,   /* there is none */
    REACH_FOUND,  /* here is one */
    REACH_UNKNOWN /* there may be one: nobody knows a name for the expressions, or the search was cut short */
};

struct reach_search; /* one analysis of a policy; lives in its arena */

/**
 * ifaces  borrowed; which addresses are this machine's own. Asked here, and by policy_match(). NULL: nobody
 *         knows; what depends on samenet is not known then.
 * NULL when memory ran out.
 */
struct reach_search *reach_search_new(const struct policy *policy, const struct iface_source *ifaces,
                                      struct arena *arena);

/**
 * Does the rule decide any connection that comes from another machine, with TLS or without?
 *
 * out_witness  set on REACH_FOUND; policy_match() gives the rule for it. Everything lives in the arena, and
 *              in the search.
 *
 * Users are roles that exist, memberships and host names are whatever suits the rule. E_NOMEM. Never blocks.
 */
MUST_CHECK enum code policy_reach(struct reach_search *search, const struct hba_rule *rule, bool tls,
                                  enum reach *out, struct conn_facts *out_witness);

/** Part of the space of connections. */
struct reach_part {
    bool local; /* over the unix socket; else from these addresses */
    sa_family_t family;
    uint8_t addr[16], mask[16];
    bool tls;
};

/** May the rule decide any connection of the part? False: certainly not. */
bool policy_takes(struct reach_search *search, const struct hba_rule *rule, const struct reach_part *part);

#endif
