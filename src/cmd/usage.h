/**
 * What is wrong with an invocation.
 */
#ifndef PGSEAL_CMD_USAGE_H
#define PGSEAL_CMD_USAGE_H

#include "cmd/cmd.h"
#include "cmd/table.h"

/** Say what is wrong with the invocation and where help is; returns EXIT_USAGE. */
int cmd_usage(const struct cmd *cmd, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** Say that there is no such command, and which may have been meant. Returns EXIT_USAGE. */
int command_unknown(const char *word);

/** "issue"; "" for VERB_NONE. */
const char *verb_name(enum cmd_verb verb);

#endif
