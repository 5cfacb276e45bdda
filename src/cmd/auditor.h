/**
 * The audit, as the gate calls it.
 */
#ifndef PGSEAL_CMD_AUDITOR_H
#define PGSEAL_CMD_AUDITOR_H

#include "gate/gate.h"

/** A gate_auditor. */
enum code audit_snapshot(const struct snapshot *snapshot, int64_t now_unix_s, struct arena *arena,
                         struct gate_findings *out, struct err *e);

#endif
