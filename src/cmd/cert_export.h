/**
 * The forms in which drivers want a key and its certificate, and the report of what was made.
 */
#ifndef PGSEAL_CMD_CERT_EXPORT_H
#define PGSEAL_CMD_CERT_EXPORT_H

#include "cmd/cert_job.h"

/** E_EXISTS, before anything is made, when a file that --for would write is there and must stay. */
MUST_CHECK enum code cert_export_check(const struct cert_job *job, const char *base, bool with_passphrase,
                                       struct err *e);
/** For a renewal: E_USAGE, before anything is made, when a container that is there has a passphrase and the new
 * one would have none. */
MUST_CHECK enum code cert_export_check_renewal(const struct cert_job *job, const char *base,
                                               bool with_passphrase, struct err *e);
/** Write the containers of --for, and those that a renewal finds, and report everything: files, connection strings, warnings. */
MUST_CHECK enum code cert_export(const struct cert_job *job, const struct cert_made *made, struct err *e);

#endif
