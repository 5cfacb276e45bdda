/**
 * Reloads: asked for by a signal, SQL, or files that change.
 */
#ifndef PGSEAL_GATE_STEWARD_RELOAD_H
#define PGSEAL_GATE_STEWARD_RELOAD_H

#include "gate/steward/steward.h"

/** SIGHUP is pending: take it, and load. */
void reload_signalled(void *gate);
/** The same for pg_reload_conf(): `note` receives the result. */
void reload_asked(struct gate *g, struct err *note);
/** Watch files and dates from now on; the first snapshot is in force. */
MUST_CHECK enum code reload_start(struct gate *g);
/** Give back what reload_start() made. */
void reload_stop(struct gate *g);

#endif
