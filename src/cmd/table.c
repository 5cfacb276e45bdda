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
    { CMD_COMMON, OPT_json, "json", 0, NULL, "print JSON" },
    { CMD_COMMON, OPT_verbose, "verbose", 'v', NULL, "print more; may be repeated" },
    { CMD_COMMON, OPT_color, "color", 0, "WHEN", "colors: auto (on a terminal), always or never" },
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
#undef EXAMPLE

#define EXAMPLE NO_EXAMPLE
#define TAKES(command, verb, names) { CMD_##command, VERB_##command##_##verb, names },
#define COMMON(command, names) { CMD_##command, VERB_NONE, names },
static const struct takes_row {
    enum cmd_id command;
    enum cmd_verb verb;
    const char *names;
} takes_rows[] = {
#include "commands.def"
    { CMD_COMMON, VERB_NONE, NULL },
};

#define WORDS(command, id, words) { OPT_##command##_##id, words },
static const struct words_row {
    enum cmd_opt id;
    const char *words;
} words_rows[] = {
#include "commands.def"
    { OPT_color, "auto always never" },
};

const char *option_words(const struct option_row *row)
{
    for (size_t i = 0; i < sizeof words_rows / sizeof words_rows[0]; i++)
        if (words_rows[i].id == row->id)
            return words_rows[i].words;
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    struct str rest = str_c(words), one;

    while (word && str_split(&rest, ' ', &one))
        if (str_is(one, word))
            return true;
    return false;
}

bool option_taken(const struct option_row *row, enum cmd_id command, enum cmd_verb verb)
{
    if (row->command != command && row->command != CMD_COMMON)
        return false;
    if (row->id == OPT_verbose || row->id == OPT_help)
        return true;
    if (verb == VERB_NONE && row->command == command)
        return true;
    for (const struct takes_row *takes = takes_rows; takes->names; takes++)
        if (takes->command == command && (verb == VERB_NONE || takes->verb == verb) &&
            has_word(takes->names, row->long_name))
            return true;
    return false;
}

bool command_has_verbs(enum cmd_id command)
{
    for (const struct verb_row *row = verb_rows; row->name; row++)
        if (row->command == command)
            return true;
    return false;
}

const struct verb_row *verb_find(enum cmd_id command, struct str word)
{
    for (const struct verb_row *row = verb_rows; row->name; row++)
        if (row->command == command && str_is(word, row->name))
            return row;
    return NULL;
}

bool command_find(struct str word, enum cmd_id *out)
{
    for (enum cmd_id command = CMD_COMMON + 1; command < CMD_COUNT; command++) {
        if (str_is(word, command_rows[command].name)) {
            *out = command;
            return true;
        }
    }
    return false;
}
