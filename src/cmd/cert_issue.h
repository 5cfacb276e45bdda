/**
 * pgseal cert issue, renew.
 */
#ifndef PGSEAL_CMD_CERT_ISSUE_H
#define PGSEAL_CMD_CERT_ISSUE_H

#include "cmd/cert_job.h"

MUST_CHECK enum code cert_issue(struct cert_job *job, struct err *e);
MUST_CHECK enum code cert_renew(struct cert_job *job, struct err *e);

#endif
