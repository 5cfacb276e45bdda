/**
 * Options that take a number.
 */
#ifndef PGSEAL_CMD_NUMBER_OPTION_H
#define PGSEAL_CMD_NUMBER_OPTION_H

#include "cmd/cmd.h"

/**
 * Read an option that takes a number from 1 to `max`.
 *
 * out  left where the option was not given.
 *
 * E_USAGE: it is no such number.
 */
MUST_CHECK enum code cmd_read_number(const struct cmd *cmd, enum cmd_opt option, uint32_t max, uint32_t *out,
                                     struct err *e);

#endif
