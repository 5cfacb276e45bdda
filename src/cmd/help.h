/**
 * --help, from the rows of tables/commands.def.
 */
#ifndef PGSEAL_CMD_HELP_H
#define PGSEAL_CMD_HELP_H

#include "cmd/table.h"

/** The list of commands. */
void help_print(FILE *out);
/** Everything about one command. */
void help_command(FILE *out, enum cmd_id command);
/** One verb of a command: what it does, its options, its examples. */
void help_verb(FILE *out, const struct verb_row *verb);

#endif
