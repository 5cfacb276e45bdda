/**
 * Findings from all that one look has seen.
 */
#ifndef PGSEAL_PROBE_PROBLEMS_H
#define PGSEAL_PROBE_PROBLEMS_H

#include "probe/look.h"
#include "probe/probe.h"

/** The first line of what psql says, without the `connection to server … failed: ` it begins with. */
struct str probe_short_error(struct str error);

/** Chain, names and CA names of the handshake that stands on the look's connection. */
MUST_CHECK enum code look_certificates(struct look *look, struct err *e);
/** Findings from all the rest of the report. */
MUST_CHECK enum code look_problems(struct look *look, struct err *e);

#endif
