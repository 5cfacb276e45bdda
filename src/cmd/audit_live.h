/**
 * The audit of a live server, with a probe of its port.
 */
#ifndef PGSEAL_CMD_AUDIT_LIVE_H
#define PGSEAL_CMD_AUDIT_LIVE_H

#include "base/err.h"

struct arena;
struct cmd;
struct collected;

/** collect_live(), with the probe handed in. */
MUST_CHECK enum code audit_live(const struct cmd *cmd, const char *conninfo, struct arena *arena,
                                struct collected *out, struct err *e);

#endif
