/**
 * `pgseal psql`: psql on the status database of a gate.
 */
#ifndef PGSEAL_CMD_PSQL_H
#define PGSEAL_CMD_PSQL_H

#include "cmd/table.h"

/**
 * Before cmd_parse() of `pgseal psql`: our options first, then "--", then what is psql's. `out`: argc + 2
 * entries; returns how many are used.
 */
int psql_arrange(int argc, char **argv, char **out);

#endif
