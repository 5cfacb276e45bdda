/**
 * Stored secrets by their kind, and what becomes of them.
 */
#ifndef PGSEAL_AUDIT_CHECK_ROLES_H
#define PGSEAL_AUDIT_CHECK_ROLES_H

#include "audit/finding.h"

void check_roles(struct audit *a);

#endif
