/**
 * pgseal cert verify: what the other side would say.
 */
#ifndef PGSEAL_CMD_CERT_VERIFY_H
#define PGSEAL_CMD_CERT_VERIFY_H

#include "cmd/cert_job.h"

/** out_status  EXIT_FINE or EXIT_FINDING. */
MUST_CHECK enum code cert_verify(struct cert_job *job, int *out_status, struct err *e);

#endif
