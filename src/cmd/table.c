/* The rows of tables/commands.def. */
#include "cmd/table.h"

#define NO_COMMAND(name, arguments, summary, description)
#define NO_VERB(command, name, arguments, summary)
#define NO_OPT(command, id, long_name, letter, argument, help)
#define NO_EXAMPLE(command, line, says)

#define VERB NO_VERB
#define OPT NO_OPT
#define EXAMPLE NO_EXAMPLE
#define COMMAND(name, arguments, summary, description) { #name, arguments, summary, description },
const struct command_row command_rows[] = {
    { "pgseal", "COMMAND", "a TLS gate for PostgreSQL, and its tools", NULL },
#include "commands.def"
    { NULL, NULL, NULL, NULL },
};
#undef COMMAND
#undef VERB

#define COMMAND NO_COMMAND
#define VERB(command, name, arguments, summary)                                                              \
    { CMD_##command, VERB_##command##_##name, #name, arguments, summary },
const struct verb_row verb_rows[] = {
#include "commands.def"
    { CMD_COMMON, VERB_NONE, NULL, NULL, NULL },
};
#undef VERB
#undef OPT

#define VERB NO_VERB
#define OPT(command, id, long_name, letter, argument, help)                                                  \
    { CMD_##command, OPT_##command##_##id, long_name, letter, argument, help },
const struct option_row option_rows[] = {
#include "commands.def"
    { CMD_COMMON, OPT_json, "json", 0, NULL, "answer in JSON" },
    { CMD_COMMON, OPT_verbose, "verbose", 'v', NULL, "say more; may be repeated" },
    { CMD_COMMON, OPT_color, "color", 0, "WHEN", "colours: auto (on a terminal), always or never" },
    { CMD_COMMON, OPT_help, "help", 'h', NULL, "show this and exit" },
    { CMD_COMMON, OPT_COUNT, NULL, 0, NULL, NULL },
};
#undef OPT
#undef EXAMPLE

#define OPT NO_OPT
#define EXAMPLE(command, line, says) { CMD_##command, line, says },
const struct example_row example_rows[] = {
#include "commands.def"
    { CMD_COMMON, NULL, NULL },
};
