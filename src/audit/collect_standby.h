/**
 * How a standby connects to its primary, by its files.
 */
#ifndef PGSEAL_AUDIT_COLLECT_STANDBY_H
#define PGSEAL_AUDIT_COLLECT_STANDBY_H

#include "base/err.h"

struct arena;
struct collected;

/** Add the connection of primary_conninfo, if the settings have one. E_NOMEM. */
MUST_CHECK enum code collect_standby(struct collected *collected, struct arena *arena);

#endif
