/**
 * What one CA has issued is issued by the other one.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_ISSUE_H
#define PGSEAL_RENEW_ROLLOVER_ISSUE_H

#include "renew/rollover_walk.h"

/**
 * The CA in force issues every pair that `from` has issued.
 *
 * passphrase_file  of its key; NULL: none.
 * out              also set where one of them failed (E_CONFIG).
 */
MUST_CHECK enum code rollover_issue(struct rollover *r, enum rollover_issuer from,
                                    const char *passphrase_file, struct rollover_issued *out, struct err *e);

#endif
