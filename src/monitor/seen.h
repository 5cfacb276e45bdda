/**
 * The client certificates that a gate was shown: for an inventory.
 */
#ifndef PGSEAL_MONITOR_SEEN_H
#define PGSEAL_MONITOR_SEEN_H

#include "monitor/target.h"

/**
 * A row for each client that the gate in `state_dir` remembers with a certificate: where it came from, as which user,
 * and when the certificate ends. None where that cannot be read. E_NOMEM.
 */
MUST_CHECK enum code monitor_add_seen(struct monitor_target *target, const char *state_dir, struct err *e);

#endif
