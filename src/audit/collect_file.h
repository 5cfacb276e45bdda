/**
 * One file as the subject of an audit: pg_hba.conf, a certificate, a revocation list, a key, a client's file.
 */
#ifndef PGSEAL_AUDIT_COLLECT_FILE_H
#define PGSEAL_AUDIT_COLLECT_FILE_H

#include "base/err.h"

struct client_params;
struct collected;

/**
 * Recognise a file by its contents, and by its name where these do not tell, and read it.
 *
 * path     absolute.
 * version  major version whose reading of rules is wanted; 0: the newest.
 *
 * client   what else is known, and how to read connection strings, if it is a client's file.
 *
 * E_CONFIG: it is none of those; E_NO_FILE, E_ACCESS and kin; E_NOMEM.
 */
MUST_CHECK enum code collect_file(const char *path, unsigned version, const struct client_params *client,
                                  struct collected *out, struct err *e);

#endif
