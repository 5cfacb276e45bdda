/**
 * What `hba`, `ident` and `explain` share: policy parameters from the command line.
 */
#ifndef PGSEAL_CMD_RULES_H
#define PGSEAL_CMD_RULES_H

#include "cmd/cmd.h"
#include "policy/policy.h"

/** Oldest and newest major version that --pg-version takes. */
enum { PG_VERSION_MIN = 10, PG_VERSION_MAX = 99 };

/**
 * Parameters as a full Linux server with ssl = on would have them. Returns -1 to go on, else the exit status
 * (the usage was wrong, and that has been said).
 *
 * version  the option's value, or NULL.
 */
int rules_params(const struct cmd *cmd, const char *version, struct policy_params *out);

#endif
