/**
 * Options that issue, renew and sign read alike.
 */
#ifndef PGSEAL_CMD_CERT_OPTIONS_H
#define PGSEAL_CMD_CERT_OPTIONS_H

#include "cmd/cert_job.h"

/** The names of --host and --san, and the first --host (NULL: none). E_USAGE, E_PARAM. */
MUST_CHECK enum code cert_read_sans(const struct cert_job *job, struct san **out, size_t *out_n,
                                    const char **out_host, struct err *e);
/** --use and --days, over what the request has. E_USAGE. */
MUST_CHECK enum code cert_read_use_and_days(const struct cert_job *job, struct ca_request *request,
                                            struct err *e);

#endif
