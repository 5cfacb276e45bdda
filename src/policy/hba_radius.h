/**
 * The method radius of pg_hba.conf.
 */
#ifndef PGSEAL_POLICY_HBA_RADIUS_H
#define PGSEAL_POLICY_HBA_RADIUS_H

#include "policy/policy_impl.h"

/** The value of one of its options. Asks the name service for `radiusservers`. */
MUST_CHECK enum code hba_radius_read(struct line_parser *p, enum hba_option option, struct str value);
/** All options of a record together. */
MUST_CHECK enum code hba_radius_check(struct line_parser *p, const struct hba_rule *rule);

#endif
