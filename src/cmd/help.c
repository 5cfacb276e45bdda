/* --help and `pgseal help`, from the rows of tables/commands.def. */
#include "cmd/help.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/table.h"
#include "cmd/usage.h"

enum { HELP_WIDTH = 79, HELP_OPTION_COLUMN = 30, HELP_LINE_MAX = 512 };

/* Words of `text` from `column` on, wrapped at HELP_WIDTH, continued at `indent`. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
    struct str rest = str_c(text), word;
    bool first = true;

    while (str_split(&rest, ' ', &word)) {
        if (!first && column + 1 + word.n > HELP_WIDTH) {
            (void)fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            (void)fputc(' ', out);
            column++;
        }
        (void)fwrite(word.p, 1, word.n, out);
        column += word.n;
        first = false;
    }
    (void)fputc('\n', out);
}

/* A term in its column and its explanation beside it, or below when the term is long. */
static void print_pair(FILE *out, const char *term, const char *text, size_t at)
{
    int used = fprintf(out, "  %s", term);

    if (used < 0)
        return;
    if ((size_t)used + 2 > at) {
        (void)fputc('\n', out);
        used = 0;
    }
    (void)fprintf(out, "%*s", (int)at - used, "");
    print_wrapped(out, text, at, at);
}

/* Whose options, and those of which row of the table: the command's own, or CMD_COMMON's. */
struct listed {
    enum cmd_id command;
    enum cmd_verb verb;
    enum cmd_id owner;
};

static void print_options(FILE *out, struct listed listed, const char *title)
{
    bool any = false;

    for (const struct option_row *row = option_rows; row->help; row++) {
        AUTO(buf) struct buf term = BUF_INIT(HELP_LINE_MAX);
        bool everywhere = listed.command == CMD_COMMON;
        if (row->command != listed.owner || (!everywhere && !option_taken(row, listed.command, listed.verb)))
            continue;
        if (!any)
            (void)fprintf(out, "\n%s:\n", title);
        any = true;
        if (row->letter)
            buf_printf(&term, "-%c%s", row->letter, row->long_name ? ", " : "");
        else
            buf_append_c(&term, "    ");
        if (row->long_name)
            buf_printf(&term, "--%s", row->long_name);
        if (row->argument)
            buf_printf(&term, "%c%s", row->long_name ? '=' : ' ', row->argument);
        print_pair(out, buf_c(&term), row->help, HELP_OPTION_COLUMN);
    }
}

static void print_verbs(FILE *out, enum cmd_id command)
{
    bool any = false;

    for (const struct verb_row *row = verb_rows; row->name; row++) {
        AUTO(buf) struct buf term = BUF_INIT(HELP_LINE_MAX);
        if (row->command != command)
            continue;
        if (!any)
            (void)fputs("\nVerbs:\n", out);
        any = true;
        buf_printf(&term, "%s%s%s", row->name, row->arguments[0] ? " " : "", row->arguments);
        print_pair(out, buf_c(&term), row->summary, HELP_OPTION_COLUMN);
    }
}

/* Those whose line starts so. */
static void print_examples(FILE *out, enum cmd_id command, const char *start)
{
    bool any = false;

    for (const struct example_row *e = example_rows; e->line; e++) {
        if (e->command != command || !str_starts(str_c(e->line), str_c(start)))
            continue;
        (void)fprintf(out, "%s  %s\n      %s\n", any ? "" : "\nExamples:\n", e->line, e->says);
        any = true;
    }
}

void help_print(FILE *out)
{
    const struct command_row *self = &command_rows[CMD_COMMON];

    (void)fprintf(out, "%s - %s\n\nUsage:\n  pgseal COMMAND [OPTION]...\n  pgseal --version\n\nCommands:\n",
                  self->name, self->summary);
    for (const struct command_row *row = self + 1; row->name; row++)
        print_pair(out, row->name, row->summary, 12);
    print_options(out, (struct listed){ CMD_COMMON, VERB_NONE, CMD_COMMON },
                  "Common options (the help of a command says which it takes)");
    (void)fputs(
        "\nExit status: 0 success, 1 a finding or a refusal, 2 invalid usage, 3 could not run.\n\"pgseal "
        "help COMMAND\" shows more about a command, with examples.\n",
        out);
}

void help_command(FILE *out, enum cmd_id command)
{
    const struct command_row *row = &command_rows[command];

    (void)fprintf(out, "pgseal %s - %s\n\nUsage:\n  pgseal %s [OPTION]... %s\n\n", row->name, row->summary,
                  row->name, row->arguments);
    print_wrapped(out, row->description, 0, 0);
    print_verbs(out, command);
    if (command_has_verbs(command))
        (void)fprintf(out, "\n\"pgseal help %s VERB\" shows the options of one verb.\n", row->name);
    print_options(out, (struct listed){ command, VERB_NONE, command }, "Options");
    print_options(out, (struct listed){ command, VERB_NONE, CMD_COMMON }, "Common options");
    print_examples(out, command, "");
}

void help_verb(FILE *out, const struct verb_row *verb)
{
    AUTO(buf) struct buf start = BUF_INIT(HELP_LINE_MAX);
    const char *command = command_rows[verb->command].name;

    (void)fprintf(out, "pgseal %s %s - %s\n\nUsage:\n  pgseal %s %s [OPTION]...%s%s\n", command, verb->name,
                  verb->summary, command, verb->name, verb->arguments[0] ? " " : "", verb->arguments);
    print_options(out, (struct listed){ verb->command, verb->verb, verb->command }, "Options");
    print_options(out, (struct listed){ verb->command, verb->verb, CMD_COMMON }, "Common options");
    buf_printf(&start, "pgseal %s %s ", command, verb->name);
    print_examples(out, verb->command, buf_c(&start));
}

int cmd_help(struct cmd *cmd)
{
    enum cmd_id command;

    if (cmd->n_args > 2)
        return cmd_usage(cmd, "give one command, and at most one of its verbs");
    if (cmd->n_args == 0) {
        help_print(cmd->out);
        return EXIT_FINE;
    }
    if (!command_find(str_c(cmd->args[0]), &command))
        return command_unknown(cmd->args[0]);
    const struct verb_row *verb = cmd->n_args > 1 ? verb_find(command, str_c(cmd->args[1])) : NULL;
    if (cmd->n_args > 1 && !verb)
        return cmd_usage(cmd, "pgseal %s has no verb \"%s\"", command_rows[command].name, cmd->args[1]);
    if (verb)
        help_verb(cmd->out, verb);
    else
        help_command(cmd->out, command);
    return EXIT_FINE;
}
