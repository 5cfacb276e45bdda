/**
 * One file as the subject of an audit: pg_hba.conf, a certificate, a revocation list, a key.
 */
#ifndef PGSEAL_AUDIT_COLLECT_FILE_H
#define PGSEAL_AUDIT_COLLECT_FILE_H

#include "base/err.h"

struct arena;
struct collected;

/**
 * Recognise a file by its contents, and by its name where these do not tell, and read it.
 *
 * path     absolute.
 * version  major version whose reading of rules is wanted; 0: the newest.
 *
 * E_CONFIG: it is none of those; E_NO_FILE, E_ACCESS and kin; E_NOMEM.
 */
MUST_CHECK enum code collect_file(const char *path, unsigned version, int64_t now_unix_s, struct arena *arena,
                                  struct collected *out, struct err *e);

#endif
