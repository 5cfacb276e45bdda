/**
 * Which rules never decide, because those before them take every connection that they could take.
 */
#ifndef PGSEAL_POLICY_SHADOW_H
#define PGSEAL_POLICY_SHADOW_H

#include "base/err.h"

struct arena;
struct policy;

/** The rules that together take all of another's connections; none of them can be left out. */
struct shadow {
    const unsigned *by; /* rule numbers, ascending */
    size_t n;           /* 0: the rule decides something, or nobody can tell */
};

/**
 * For every rule what covers it: the earliest single rule if there is one, else several.
 *
 * arena  borrowed; owns the result.
 * out    policy_rule_count() of them. What is claimed holds for every connection, whatever the catalogs, the
 *        name service and this machine's addresses say. Where the search would take seconds, the last rules
 *        get nothing.
 *
 * E_NOMEM. Never blocks. Thread-safe.
 */
MUST_CHECK enum code policy_shadows(const struct policy *policy, struct arena *arena,
                                    const struct shadow **out);

#endif
