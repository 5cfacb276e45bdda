/**
 * One TLS handshake that verifies nothing, within given limits.
 */
#ifndef PGSEAL_PROBE_HANDSHAKE_H
#define PGSEAL_PROBE_HANDSHAKE_H

#include "probe/probe_run.h"

MUST_CHECK enum code probe_handshake(struct probe_run *run, const struct probe_handshake *how, struct err *e);

#endif
