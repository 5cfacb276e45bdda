/**
 * Certificates that were issued for clients, as far as copies of them are in the gate's directory.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_CLIENT_FILES_H
#define PGSEAL_RENEW_ROLLOVER_CLIENT_FILES_H

#include "renew/rollover.h"

enum { ROLLOVER_CLIENT_FILES_MAX = 4096 };

/**
 * Those of the old CA in DIR/clients, where `pgseal init` and `pgseal cert issue` write them: absolute paths, in the order of
 * their names, in the arena of `r`. The pairs of `r`, which are the gate's own, are not among them. After
 * ROLLOVER_CLIENT_FILES_MAX the rest is left out.
 */
MUST_CHECK enum code rollover_client_files(const struct rollover *r, struct str **out, size_t *out_n,
                                           struct err *e);

#endif
