
#include "cmd/usage.h"

#include "base/closest.h"
#include "cmd/cmd.h"
#include "cmd/table.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

const char *verb_name(enum cmd_verb verb)
{
    const struct verb_row *row = verb_rows;

    while (row->name && row->verb != verb)
        row++;
    return row->name ? row->name : "";
}

int command_unknown(const char *word)
{
    struct closest near = closest_begin(str_c(word));

    for (const struct command_row *row = &command_rows[CMD_COMMON + 1]; row->name; row++)
        closest_offer(&near, str_c(row->name));
    (void)fprintf(stderr, "pgseal: unknown command \"%s\"", word);
    if (near.best.p)
        (void)fprintf(stderr, "; did you mean \"%.*s\"?", STR_ARG(near.best));
    (void)fputs("\nTry \"pgseal --help\".\n", stderr);
    return EXIT_USAGE;
}

int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
    va_list args;

    (void)fprintf(cmd->err, "pgseal %s: ", cmd->name);
    va_start(args, fmt);
    (void)vfprintf(cmd->err, fmt, args);
    va_end(args);
    (void)fprintf(cmd->err, "\nTry \"pgseal %s%s%s --help\".\n", cmd->name, cmd->verb == VERB_NONE ? "" : " ",
                  cmd->verb == VERB_NONE ? "" : verb_name(cmd->verb));
    return EXIT_USAGE;
}
