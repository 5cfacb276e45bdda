/**
 * What is in force: loaded, remembered, left for others to read.
 */
#ifndef PGSEAL_GATE_STEWARD_IN_FORCE_H
#define PGSEAL_GATE_STEWARD_IN_FORCE_H

#include "gate/steward/steward.h"

struct snapshot;

/** Everything of the gate's directory into one snapshot; see snapshot_load(). */
MUST_CHECK enum code in_force_load(struct gate *g, bool certificates_only, struct snapshot **out,
                                   struct diags *diags);
/** A load came to this: loaded, refused or restored. The row is the caller's to complete. */
struct history_row *in_force_remember(struct gate *g, const char *trigger, const char *result);
/** HTTP clients are to bring what the snapshot in force asks for. */
void in_force_set_http_access(struct gate *g);
/** Leave what the rules in force were read from in the gate's directory, for `pgseal explain --running`. */
void in_force_leave_rules(const struct gate *g);

#endif
