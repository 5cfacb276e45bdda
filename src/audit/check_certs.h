/**
 * The certificate and revocation files that clients meet, as they are on disk now.
 */
#ifndef PGSEAL_AUDIT_CHECK_CERTS_H
#define PGSEAL_AUDIT_CHECK_CERTS_H

#include "audit/finding.h"

void check_certificates(struct audit *a);

#endif
