/**
 * Writing a gate's directory: CA, certificates, settings, rules.
 */
#ifndef PGSEAL_CMD_INIT_MAKE_H
#define PGSEAL_CMD_INIT_MAKE_H

#include "cmd/init.h"

/** Write what is not there yet. */
MUST_CHECK enum code init_make(struct init_plan *plan, struct err *e);
/** Where clients of this machine find the gate's socket. */
struct str init_socket_dir(const struct init_plan *plan);

#endif
