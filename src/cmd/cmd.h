/**
 * What every command of `pgseal` is given, and what it answers with.
 *
 * A command is a row of tables/commands.def and a function `int cmd_NAME(struct cmd *cmd)` in src/cmd/NAME.c
 * that returns the exit status. Options are parsed before it is called; a mistake in them never reaches it.
 *
 *   if (cmd_flag(cmd, OPT_serve_check)) …
 *   const char *dir = cmd_value(cmd, OPT_serve_directory);
 */
#ifndef PGSEAL_CMD_CMD_H
#define PGSEAL_CMD_CMD_H

#include "base/env.h"
#include "base/err.h"

#include <stdio.h>

/* Every command's options: OPT_serve_directory and so on. */
enum cmd_opt {
    OPT_json,
    OPT_verbose,
    OPT_color,
    OPT_help,
#define COMMAND(name, arguments, summary, description)
#define VERB(command, name, arguments, summary)
#define OPT(command, id, long_name, letter, argument, help) OPT_##command##_##id,
#define EXAMPLE(command, line, says)
#include "commands.def"
#undef COMMAND
#undef VERB
#undef OPT
#undef EXAMPLE
    OPT_COUNT
};

/** A row of commands.def. */
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

/* Verbs of commands that have some: VERB_ca_init and so on. */
enum cmd_verb {
    VERB_NONE,
#define COMMAND(name, arguments, summary, description)
#define VERB(command, name, arguments, summary) VERB_##command##_##name,
#define OPT(command, id, long_name, letter, argument, help)
#define EXAMPLE(command, line, says)
#include "commands.def"
#undef COMMAND
#undef VERB
#undef OPT
#undef EXAMPLE
};

/** Exit statuses; those of errors come from code_exit(). */
enum { EXIT_FINE = 0, EXIT_FINDING = 1, EXIT_USAGE = 2, EXIT_CANNOT_RUN = 3 };

enum cmd_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct cmd_option {
    enum cmd_opt id;
    const char *value; /* NULL for a flag */
};

/** One invocation. Everything is borrowed from argv and lives as long as the process. */
struct cmd {
    const char *name;
    enum cmd_verb verb; /* VERB_NONE when the command has none */
    char *const *args;  /* what is neither option nor verb */
    size_t n_args;
    struct cmd_option *options; /* in the order given */
    size_t n_options;
    bool json;
    bool color;       /* settled: terminal, NO_COLOR and --color are considered */
    unsigned verbose; /* how many -v */
    FILE *out;        /* standard output */
    FILE *err;        /* standard error */
    struct env env;   /* the real clock and entropy; `log` is NULL */
};

/** True when a flag or option was given. */
bool cmd_flag(const struct cmd *cmd, enum cmd_opt id);
/** The last value given, or NULL. */
const char *cmd_value(const struct cmd *cmd, enum cmd_opt id);
/** The `index`-th value of an option that may be repeated, or NULL after the last. */
const char *cmd_value_at(const struct cmd *cmd, enum cmd_opt id, size_t index);

/** Print an error with detail and hint to standard error; returns its exit status. */
int cmd_error(const struct cmd *cmd, const struct err *e);
/** Print every row of `diags` that refuses or warns, and the others with -v; returns 0 or the first error's
 * status. */
int cmd_diags(const struct cmd *cmd, const struct diags *diags);
enum tint { TINT_GOOD, TINT_BAD };
/** What begins a verdict in its colour, and what ends it; empty texts where no colours are wanted. */
const char *cmd_tint(const struct cmd *cmd, enum tint tint);
const char *cmd_tint_end(const struct cmd *cmd);
/** Flush standard output; EXIT_CANNOT_RUN with a message when it could not be written, else `status`. */
int cmd_finish(const struct cmd *cmd, int status);

#define COMMAND(name, arguments, summary, description) int cmd_##name(struct cmd *cmd);
#define VERB(command, name, arguments, summary)
#define OPT(command, id, long_name, letter, argument, help)
#define EXAMPLE(command, line, says)
#include "commands.def"
#undef COMMAND
#undef VERB
#undef OPT
#undef EXAMPLE

/**
 * Fill `cmd` from the arguments after the command's name.
 * Returns -1 to go on, else the exit status of an invocation that ends here.
 */
int cmd_parse(struct cmd *cmd, enum cmd_id command, int argc, char **argv);
/** Release what cmd_parse allocated. */
void cmd_fini(struct cmd *cmd);

#endif
