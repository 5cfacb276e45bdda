/**
 * pgseal cert show: what is in a file.
 */
#ifndef PGSEAL_CMD_CERT_SHOW_H
#define PGSEAL_CMD_CERT_SHOW_H

#include "cmd/cert_job.h"

MUST_CHECK enum code cert_show(struct cert_job *job, struct err *e);

#endif
