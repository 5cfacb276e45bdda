/**
 * Rule by rule: who gets in by it, from where, over what, and with what proof.
 */
#ifndef PGSEAL_AUDIT_AUDIT_RULES_H
#define PGSEAL_AUDIT_AUDIT_RULES_H

#include "audit/finding.h"

void audit_rules(struct audit *a);

#endif
