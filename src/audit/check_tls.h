/**
 * What the settings say about TLS.
 */
#ifndef PGSEAL_AUDIT_CHECK_TLS_H
#define PGSEAL_AUDIT_CHECK_TLS_H

#include "audit/finding.h"

void check_tls(struct audit *a);

#endif
