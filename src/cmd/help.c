#include "cmd/help.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/table.h"

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

static void print_options(FILE *out, enum cmd_id command, const char *title)
{
    bool any = false;

    for (const struct option_row *row = option_rows; row->help; row++) {
        AUTO(buf) struct buf term = BUF_INIT(HELP_LINE_MAX);
        if (row->command != command)
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

void help_print(FILE *out)
{
    const struct command_row *self = &command_rows[CMD_COMMON];

    (void)fprintf(out, "%s - %s\n\nUsage:\n  pgseal COMMAND [OPTION]...\n  pgseal --version\n\nCommands:\n",
                  self->name, self->summary);
    for (const struct command_row *row = self + 1; row->name; row++)
        print_pair(out, row->name, row->summary, 12);
    print_options(out, CMD_COMMON, "Options of every command");
    (void)fputs("\nExit status: 0 fine, 1 a finding or a refusal, 2 wrong usage, 3 could not run.\n"
                "\"pgseal COMMAND --help\" tells more about a command, with examples.\n",
                out);
}

void help_command(FILE *out, enum cmd_id command)
{
    const struct command_row *row = &command_rows[command];
    bool any = false;

    (void)fprintf(out, "pgseal %s - %s\n\nUsage:\n  pgseal %s [OPTION]... %s\n\n", row->name, row->summary,
                  row->name, row->arguments);
    print_wrapped(out, row->description, 0, 0);
    print_verbs(out, command);
    print_options(out, command, "Options");
    print_options(out, CMD_COMMON, "Options of every command");
    for (const struct example_row *e = example_rows; e->line; e++) {
        if (e->command != command)
            continue;
        (void)fprintf(out, "%s  %s\n      %s\n", any ? "" : "\nExamples:\n", e->line, e->says);
        any = true;
    }
}
