/**
 * The CAs that everybody believes in: anyone can get a certificate of theirs.
 */
#ifndef PGSEAL_AUDIT_PUBLIC_CAS_H
#define PGSEAL_AUDIT_PUBLIC_CAS_H

#include "pki/cert.h"

/** The roots of the system, without those that somebody added on this machine. What cannot be read is left out. */
void public_cas_load(struct cert_list *out);
/** Was it issued by one of the list? */
bool public_cas_issued(X509 *cert, const struct cert_list *list);

#endif
