/**
 * The option --driver: whose words a connection string is in, where it does not tell.
 */
#ifndef PGSEAL_CMD_DRIVER_OPTION_H
#define PGSEAL_CMD_DRIVER_OPTION_H

#include "client/pasted_words.h"
#include "cmd/cmd.h"

/** Read it, if it was given. Returns -1 to go on, else the exit status (what is wrong has been said). */
int cmd_read_driver(const struct cmd *cmd, enum cmd_opt option, enum pasted_driver *driver);

#endif
