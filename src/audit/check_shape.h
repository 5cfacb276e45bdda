/**
 * The shape of rules: what they leave open without being wrong, and methods that are.
 */
#ifndef PGSEAL_AUDIT_CHECK_SHAPE_H
#define PGSEAL_AUDIT_CHECK_SHAPE_H

#include "audit/look.h"
#include "policy/shadow.h"

/** A rule that decides, and is no reject; look->plain and look->sealed are known. */
void check_shape_of_rule(struct look *l);
/** shadows  as policy_shadows() gives them. */
void check_shape_of_file(struct audit *a, const struct shadow *shadows);

#endif
