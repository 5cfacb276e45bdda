/**
 * Findings from all that one probe has seen.
 */
#ifndef PGSEAL_PROBE_PROBLEMS_H
#define PGSEAL_PROBE_PROBLEMS_H

#include "probe/probe.h"
#include "probe/probe_run.h"

/** The first line of what psql says, without the `connection to server … failed: ` it begins with. */
struct str probe_short_error(struct str error);

/** Chain, names and CA names of the handshake on the probe's connection. */
MUST_CHECK enum code probe_certificate_problems(struct probe_run *run, struct err *e);
/** Findings from all the rest of the report. */
MUST_CHECK enum code probe_problems(struct probe_run *run, struct err *e);

#endif
