/**
 * The shape of rules: what they leave open without being wrong, and methods that are.
 */
#ifndef PGSEAL_AUDIT_CHECK_SHAPE_H
#define PGSEAL_AUDIT_CHECK_SHAPE_H

#include "audit/rule_audit.h"
#include "policy/shadow.h"

/** A rule that decides, and is not a reject; plain and sealed of the rule_audit are known. */
void check_shape_of_rule(struct rule_audit *l);
/** shadows  as policy_shadows() gives them. */
void check_shape_of_file(struct audit *a, const struct shadow *shadows);

#endif
