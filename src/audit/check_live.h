/**
 * What only a running server shows: what is in force, who is there, what its port answers.
 */
#ifndef PGSEAL_AUDIT_CHECK_LIVE_H
#define PGSEAL_AUDIT_CHECK_LIVE_H

#include "audit/finding.h"

void check_live(struct audit *a);

#endif
