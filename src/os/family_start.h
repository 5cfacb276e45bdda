/**
 * The processes that a parent starts: gates, clerks, and whoever checks for an upgrade.
 */
#ifndef PGSEAL_OS_FAMILY_START_H
#define PGSEAL_OS_FAMILY_START_H

#include "os/family_impl.h"

/** Memory for parent and gates; E_IO. */
MUST_CHECK enum code family_memory(struct family *f, struct err *e);
/**
 * The first gate, a child of ours with our memory: true in the child, where *out_ties are its own. E_IO.
 */
MUST_CHECK enum code family_fork_gate(struct family *f, struct parent_ties *out_ties, bool *out_child,
                                      struct err *e);
/** A successor of the gate, from the upgrade's program, with `link` (taken). False: errno says why. */
bool family_start_successor(struct family *f, int link);
/** In a successor: what its parent has left it. E_BAD_STATE. */
MUST_CHECK enum code family_succeed(struct parent_ties *out_ties, struct err *e);
/** The upgrade's program looks at the directory; what it says goes to a file in memory. False: errno says why. */
bool family_start_check(struct family *f);

/** A clerk for this gate, whose last one ends. */
void family_start_clerk(struct family *f, struct generation *gate);
void family_end_clerk(struct generation *gate);
/** Close what belongs to a gate that has ended. */
void family_close(struct generation *gate);

#endif
