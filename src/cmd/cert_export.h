/**
 * The forms in which drivers want a key and its certificate, and the report of what was made.
 */
#ifndef PGSEAL_CMD_CERT_EXPORT_H
#define PGSEAL_CMD_CERT_EXPORT_H

#include "cmd/cert_job.h"

/** E_EXISTS, before anything is made, when a file that --for would write is there and must stay. */
MUST_CHECK enum code cert_export_check(const struct cert_job *job, const char *base, bool with_passphrase,
                                       struct err *e);
/** Write the containers of --for, and report everything: files, connection strings, warnings. */
MUST_CHECK enum code cert_export(const struct cert_job *job, const struct cert_made *made, struct err *e);

#endif
