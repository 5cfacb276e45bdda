/**
 * Keys that are held here: certificates shown to other servers, and keys that are in use twice.
 */
#ifndef PGSEAL_AUDIT_CHECK_KEYS_H
#define PGSEAL_AUDIT_CHECK_KEYS_H

#include "audit/finding.h"

/** The client certificates of connections that go out. */
void check_client_certificates(struct audit *a);
/** After all certificates have been looked at. */
void check_key_reuse(struct audit *a);

#endif
