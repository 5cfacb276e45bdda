/**
 * The files of a PostgreSQL server as the subject of an audit: data directory, Debian's split configuration.
 */
#ifndef PGSEAL_AUDIT_COLLECT_SERVER_H
#define PGSEAL_AUDIT_COLLECT_SERVER_H

#include "base/err.h"

struct arena;
struct collect_source;
struct collected;

/** True for a directory with PG_VERSION or postgresql.conf in it. */
bool collect_is_server(const char *path);

/**
 * Read a server's files as its next start would: settings, what overrides what, rules, and which of the files
 * that they name can be seen.
 *
 * source  its path is absolute: a data directory, a directory with postgresql.conf, or that file.
 * arena   borrowed; owns what is found.
 * out     set on OK. What is refused or not seen is part of the subject.
 *
 * E_ACCESS and kin: nothing can be seen; E_NOMEM.
 */
MUST_CHECK enum code collect_server(const struct collect_source *source, struct arena *arena,
                                    struct collected *out, struct err *e);

#endif
