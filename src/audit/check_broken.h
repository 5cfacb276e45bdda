/**
 * Files that a server would refuse: what they say is not what runs.
 */
#ifndef PGSEAL_AUDIT_CHECK_BROKEN_H
#define PGSEAL_AUDIT_CHECK_BROKEN_H

#include "audit/finding.h"

void check_broken(struct audit *a);

#endif
