/**
 * pgseal cert sign.
 */
#ifndef PGSEAL_CMD_CERT_SIGN_H
#define PGSEAL_CMD_CERT_SIGN_H

#include "cmd/cert_job.h"

MUST_CHECK enum code cert_sign(struct cert_job *job, struct err *e);

#endif
