/**
 * Can the gate enforce the rules? Checked at load, so that a login does not find out.
 */
#ifndef PGSEAL_GATE_LOAD_RULE_CHECK_H
#define PGSEAL_GATE_LOAD_RULE_CHECK_H

#include "base/err.h"

struct policy;
struct settings;
struct upstream;
struct userlist;

/** One load; all borrowed. */
struct rule_check {
    const struct settings *settings;
    const struct policy *policy;
    const struct upstream *upstreams; /* one per route */
    const struct userlist *users;     /* NULL without auth_file */
    struct diags *diags;
};

/** True when memberships can be looked up: every upstream server is asked for secrets too. */
bool rule_check_knows_roles(const struct settings *settings);
/**
 * Every rule against every route: methods that nothing can perform, password exchanges that cannot pass
 * through a TLS server, rules that leave no way to log in to the server. One row per rule and
 * cause. Rules whose clients come in only if the server asks the gate for no secret are warned about.
 */
MUST_CHECK enum code rule_check_check(const struct rule_check *h);

#endif
