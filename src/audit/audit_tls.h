/**
 * What the settings say about TLS.
 */
#ifndef PGSEAL_AUDIT_AUDIT_TLS_H
#define PGSEAL_AUDIT_AUDIT_TLS_H

#include "audit/finding.h"

void audit_tls(struct audit *a);

#endif
