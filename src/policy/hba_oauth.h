/**
 * The method oauth of pg_hba.conf.
 */
#ifndef PGSEAL_POLICY_HBA_OAUTH_H
#define PGSEAL_POLICY_HBA_OAUTH_H

#include "policy/policy_impl.h"

/** All options of a record together. */
MUST_CHECK enum code hba_oauth_check(struct line_parser *p, const struct hba_rule *rule);

#endif
