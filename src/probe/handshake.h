/**
 * One TLS handshake that verifies nothing, within given limits.
 */
#ifndef PGSEAL_PROBE_HANDSHAKE_H
#define PGSEAL_PROBE_HANDSHAKE_H

#include "probe/look.h"

MUST_CHECK enum code look_tls(struct look *look, const struct look_tls *how, struct err *e);

#endif
