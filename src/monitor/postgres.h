/**
 * PGDATA, or the directory of postgresql.conf, as a target.
 */
#ifndef PGSEAL_MONITOR_POSTGRES_H
#define PGSEAL_MONITOR_POSTGRES_H

#include "monitor/target.h"

/** As monitor/directory.h says. */
MUST_CHECK enum code monitor_add_postgres(struct monitor_target *target, const char *dir, struct err *e);

#endif
