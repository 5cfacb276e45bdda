/**
 * Does one rule take every connection that another could take?
 *
 * A rule is a product: transports × addresses × databases × users.
 */
#ifndef PGSEAL_POLICY_COVER_H
#define PGSEAL_POLICY_COVER_H

#include "policy/reach.h"

struct arena;

/**
 * For every rule the earliest single one before it that takes all connections it could take.
 *
 * arena  borrowed; owns the result.
 * out    policy_rule_count() rule numbers; 0: none was found. Where a policy is so large that the search
 *        would take seconds, the last rules get 0.
 *
 * E_NOMEM. Never blocks. Thread-safe.
 */
MUST_CHECK enum code policy_shadows(const struct policy *policy, struct arena *arena, const unsigned **out);

#endif
