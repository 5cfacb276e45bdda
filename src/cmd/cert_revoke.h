/**
 * pgseal cert revoke, list: the CA's journal.
 */
#ifndef PGSEAL_CMD_CERT_REVOKE_H
#define PGSEAL_CMD_CERT_REVOKE_H

#include "cmd/cert_job.h"

MUST_CHECK enum code cert_revoke(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_list_issued(struct cert_job *job, struct err *e);

#endif
