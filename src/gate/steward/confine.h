/**
 * Giving up what the gate does not need once it serves; what is in force is in the log.
 */
#ifndef PGSEAL_GATE_STEWARD_CONFINE_H
#define PGSEAL_GATE_STEWARD_CONFINE_H

#include "base/err.h"

struct env;
struct snapshot;

/** No io_uring: before the first loop is made, whatever else goes before. */
MUST_CHECK enum code confine_rings(struct err *e);
/**
 * Writing only below state_directory and the directories of the unix sockets. After the sockets are made, before any
 * thread is started. A kernel without it is no failure.
 */
MUST_CHECK enum code confine_files(const char *state_dir, const struct snapshot *snapshot,
                                   const struct env *env, struct err *e);
/**
 * Only the system calls a gate needs, for all threads: when all of them run. Logs what is in force.
 * out_programs  false: no programs can be run from now on.
 */
MUST_CHECK enum code confine_calls(const struct snapshot *snapshot, const struct env *env, bool *out_programs,
                                   struct err *e);

#endif
