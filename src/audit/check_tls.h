/**
 * What the settings say about TLS.
 */
#ifndef PGSEAL_AUDIT_CHECK_TLS_H
#define PGSEAL_AUDIT_CHECK_TLS_H

#include "audit/finding.h"

/** The names of Mozilla's intermediate configuration 6.0; other judges of servers take them, too. */
#define STRONG_CIPHERS                                                                                       \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"               \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

void check_tls(struct audit *a);

#endif
