/**
 * Directories that configure a server: a gate's, and PostgreSQL's.
 *
 * Both add rows for the files that the settings name, and asks: what is served, and what the servers that are
 * connected to from there serve. Settings that cannot be read are a row. E_NOMEM, E_LIMIT.
 */
#ifndef PGSEAL_MONITOR_DIRECTORY_H
#define PGSEAL_MONITOR_DIRECTORY_H

#include "monitor/target.h"

/** A path, whatever it is. */
MUST_CHECK enum code monitor_add_path(struct monitor_target *target, const char *path, struct err *e);

#endif
