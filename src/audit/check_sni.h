/**
 * Certificates by the name that a client asks for: who gets none, and who chooses his judge.
 */
#ifndef PGSEAL_AUDIT_CHECK_SNI_H
#define PGSEAL_AUDIT_CHECK_SNI_H

#include "audit/finding.h"

void check_sni(struct audit *a);

#endif
