/**
 * tables/commands.def as C tables, for main.c, cmd.c and help.c.
 */
#ifndef PGSEAL_CMD_TABLE_H
#define PGSEAL_CMD_TABLE_H

#include "cmd/cmd.h"

enum cmd_id {
    CMD_COMMON, /* options every command has */
#define COMMAND(name, arguments, summary, description) CMD_##name,
#define VERB(command, name, arguments, summary)
#define OPT(command, id, long_name, letter, argument, help)
#define EXAMPLE(command, line, says)
#include "commands.def"
#undef COMMAND
#undef VERB
#undef OPT
#undef EXAMPLE
    CMD_COUNT
};

struct command_row {
    const char *name;
    const char *arguments;
    const char *summary;
    const char *description;
};

struct verb_row {
    enum cmd_id command;
    enum cmd_verb verb;
    const char *name;
    const char *arguments;
    const char *summary;
};

struct option_row {
    enum cmd_id command;
    enum cmd_opt id;
    const char *long_name; /* or NULL */
    char letter;           /* or 0 */
    const char *argument;  /* NULL for a flag */
    const char *help;
};

struct example_row {
    enum cmd_id command;
    const char *line;
    const char *says;
};

/* All end with a row whose texts are NULL; command_rows[CMD_COMMON] stands for pgseal itself. */
extern const struct command_row command_rows[];
extern const struct verb_row verb_rows[];
extern const struct option_row option_rows[];
extern const struct example_row example_rows[];

/** The list of commands. */
void help_print(FILE *out);
/** Everything about one command. */
void help_command(FILE *out, enum cmd_id command);
/**
 * Fill `cmd` from the arguments behind the command's name.
 * Returns -1 to go on, else the exit status of an invocation that ends here.
 */
int cmd_parse(struct cmd *cmd, enum cmd_id command, int argc, char **argv);
/**
 * Before cmd_parse() of `pgseal psql`: our options first, then "--", then what is psql's. `out`: argc + 2
 * entries; returns how many are used.
 */
int psql_arrange(int argc, char **argv, char **out);
/** Release what cmd_parse allocated. */
void cmd_fini(struct cmd *cmd);

#endif
