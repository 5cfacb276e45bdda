/**
 * The certificate and revocation files that clients meet, as they are on disk now.
 */
#ifndef PGSEAL_AUDIT_CHECK_CERTS_H
#define PGSEAL_AUDIT_CHECK_CERTS_H

#include "audit/finding.h"

struct cert_info;
struct cert_list;

void check_certificates(struct audit *a);
/** One that was served; `where` it was seen, `leaf`: it is the server's own. */
void check_certificate_seen(struct audit *a, const struct cert_info *info, struct str where, bool leaf);
/** A chain that is shown to other servers, the own certificate first. `file` lives as long as the audit. */
void check_certificates_of_client(struct audit *a, const struct cert_list *chain, const char *file);

#endif
