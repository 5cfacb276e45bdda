/**
 * tables/commands.def as C tables, for main.c, cmd.c and help.c.
 */
#ifndef PGSEAL_CMD_TABLE_H
#define PGSEAL_CMD_TABLE_H

#include "cmd/cmd.h"

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

/**
 * May this option be given? VERB_NONE: to the command, or to any verb of it. Those of every command are
 * --verbose and --help; --json and --color are taken where they have a meaning.
 */
bool option_taken(const struct option_row *row, enum cmd_id command, enum cmd_verb verb);
/** What the option's argument is one of, with blanks between; NULL: anything. */
const char *option_words(const struct option_row *row);
bool command_has_verbs(enum cmd_id command);
/** NULL: the command has no such verb. */
const struct verb_row *verb_find(enum cmd_id command, struct str word);
bool command_find(struct str word, enum cmd_id *out);

#endif
