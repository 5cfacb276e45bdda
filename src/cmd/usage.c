
#include "cmd/usage.h"

#include "base/near.h"
#include "cmd/cmd.h"
#include "cmd/help.h"
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
    const struct command_row *nearest = NULL;
    struct str name = str_c(word);
    size_t best = SIZE_MAX;

    for (const struct command_row *row = &command_rows[CMD_COMMON + 1]; row->name; row++) {
        size_t distance = near_distance(name, str_c(row->name));
        if (distance < best && near_enough(name, str_c(row->name), distance)) {
            best = distance;
            nearest = row;
        }
    }
    (void)fprintf(stderr, "pgseal: unknown command \"%s\"", word);
    if (nearest)
        (void)fprintf(stderr, "; did you mean \"%s\"?", nearest->name);
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
