/**
 * A gate's directory as a target.
 */
#ifndef PGSEAL_MONITOR_GATE_H
#define PGSEAL_MONITOR_GATE_H

#include "monitor/target.h"

/** As monitor/directory.h says. */
MUST_CHECK enum code monitor_add_gate(struct monitor_target *target, const char *dir, struct err *e);

#endif
