/**
 * `pgseal ca rollover`: a new CA without a cut.
 */
#ifndef PGSEAL_CMD_CA_ROLLOVER_H
#define PGSEAL_CMD_CA_ROLLOVER_H

struct cmd;

/** The verb "rollover" of `pgseal ca`; returns the exit status. */
int ca_rollover(struct cmd *cmd);

#endif
