/**
 * Rule by rule: who gets in by it, from where, over what, and with what proof.
 */
#ifndef PGSEAL_AUDIT_CHECK_RULES_H
#define PGSEAL_AUDIT_CHECK_RULES_H

#include "audit/finding.h"

void check_rules(struct audit *a);

#endif
