/**
 * What a connection string leaves open: the service file, the environment, the built-in values.
 */
#ifndef PGSEAL_CLIENT_CONNINFO_DEFAULTS_H
#define PGSEAL_CLIENT_CONNINFO_DEFAULTS_H

#include "client/conninfo.h"

struct arena;

/** Only its files, nobody is looked up: for the time that passfile_lookup() takes. */
struct conn_world conn_world_files(void);
/** The process's own environment, files and user; texts live in `arena`. */
MUST_CHECK enum code conn_world_system(struct arena *arena, struct conn_world *out);
/** Fill in what is unset: service file, environment, built-in defaults. */
MUST_CHECK enum code conn_options_defaults(struct conn_options *options, const struct conn_world *world,
                                           enum conn_dialect dialect, struct arena *arena, struct err *e);

#endif
