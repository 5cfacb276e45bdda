/**
 * Chains and the CAs in them: what a leaf is good for, who else may sign, where their keys are.
 */
#ifndef PGSEAL_AUDIT_CHECK_TRUST_H
#define PGSEAL_AUDIT_CHECK_TRUST_H

#include "audit/finding.h"

struct cert_list;

/**
 * The certificates of the server's file.
 *
 * chain  not empty, the leaf first.
 * used   one per certificate: it is on the clients' path; NULL: not known.
 */
void check_chain_shape(struct audit *a, const struct cert_list *chain, const bool *used, const char *file);
/** CAs that are believed, and keys of CAs that lie about. */
void check_authorities(struct audit *a);

#endif
