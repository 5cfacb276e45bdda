/* Options of a command, and the ways it answers. */
#include "cmd/cmd.h"

#include "base/check.h"
#include "base/closest.h"
#include "cmd/help.h"
#include "cmd/table.h"
#include "cmd/usage.h"

#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    OPTION_ROWS_MAX = 64,
    /* getopt_long's value for row i: outside the range of letters. */
    OPTION_VALUE_FIRST = 256,
};

static bool option_belongs(const struct option_row *row, enum cmd_id command)
{
    return row->command == command || row->command == CMD_COMMON;
}

/* What getopt_long wants: the letters as one text, the long names as a list. */
struct getopt_tables {
    char letters[2 * OPTION_ROWS_MAX + 2];
    struct option longs[OPTION_ROWS_MAX + 1];
};

static void getopt_tables_fill(struct getopt_tables *tables, enum cmd_id command)
{
    size_t n_letters = 0, n_longs = 0;

    *tables = (struct getopt_tables){ 0 };
    tables->letters[n_letters++] = ':'; /* missing arguments are told apart; nothing is printed */
    for (size_t i = 0; option_rows[i].help; i++) {
        const struct option_row *row = &option_rows[i];
        if (!option_belongs(row, command))
            continue;
        CHECK(n_longs < OPTION_ROWS_MAX && n_letters < 2 * OPTION_ROWS_MAX);
        if (row->letter)
            tables->letters[n_letters++] = row->letter;
        if (row->letter && row->argument)
            tables->letters[n_letters++] = ':';
        if (row->long_name)
            tables->longs[n_longs++] = (struct option){ row->long_name,
                                                        row->argument ? required_argument : no_argument, NULL,
                                                        OPTION_VALUE_FIRST + (int)i };
    }
}

static const struct option_row *option_of(enum cmd_id command, int value)
{
    if (value >= OPTION_VALUE_FIRST)
        return &option_rows[value - OPTION_VALUE_FIRST];
    for (const struct option_row *row = option_rows; row->help; row++)
        if (row->letter == value && option_belongs(row, command))
            return row;
    return NULL;
}

/* What getopt_long stumbled over: a long option as written, or a letter. */
static int unknown_option(const struct cmd *cmd, enum cmd_id command, const char *word)
{
    if (optopt >= OPTION_VALUE_FIRST)
        return cmd_usage(cmd, "option --%s takes no value",
                         option_rows[optopt - OPTION_VALUE_FIRST].long_name);
    if (optopt != 0)
        return cmd_usage(cmd, "unknown option -%c", optopt);
    struct str name = str_from(str_c(word), 2);
    name = str_first(name, str_find(name, '='));
    struct closest near = closest_begin(name);
    for (const struct option_row *row = option_rows; row->help; row++)
        if (row->long_name && option_belongs(row, command))
            closest_offer(&near, str_c(row->long_name));
    if (near.best.p)
        return cmd_usage(cmd, "unknown option --%.*s; did you mean --%.*s?", STR_ARG(name),
                         STR_ARG(near.best));
    return cmd_usage(cmd, "unknown option --%.*s", STR_ARG(name));
}

static bool color_enabled(enum cmd_color when)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    switch (when) {
    case COLOR_ALWAYS:
        return true;
    case COLOR_NEVER:
        return false;
    case COLOR_AUTO:
        break;
    }
    return isatty(STDOUT_FILENO) && !(no_color && no_color[0]) && !(term && str_is(str_c(term), "dumb"));
}

static int take_option(struct cmd *cmd, struct cmd_option *store, const struct option_row *row,
                       enum cmd_color *color)
{
    struct str value = str_c(optarg);

    store[cmd->n_options++] = (struct cmd_option){ row->id, row->argument ? optarg : NULL };
    if (row->id == OPT_json)
        cmd->json = true;
    if (row->id == OPT_verbose)
        cmd->verbose++;
    if (row->id != OPT_color)
        return -1;
    if (str_is(value, "auto"))
        *color = COLOR_AUTO;
    else if (str_is(value, "always"))
        *color = COLOR_ALWAYS;
    else if (str_is(value, "never"))
        *color = COLOR_NEVER;
    else
        return cmd_usage(cmd, "--color takes auto, always or never, not \"%s\"", optarg);
    return -1;
}

/* The first argument names the verb where a command has verbs. */
static int take_verb(struct cmd *cmd, enum cmd_id command)
{
    struct closest near = closest_begin(str_c(cmd->n_args > 0 ? cmd->args[0] : ""));
    bool has_verbs = false;

    for (const struct verb_row *row = verb_rows; row->name; row++) {
        if (row->command != command)
            continue;
        has_verbs = true;
        if (cmd->n_args == 0)
            return cmd_usage(cmd, "a verb is missing, such as \"pgseal %s %s\"", cmd->name, row->name);
        if (str_is(near.name, row->name)) {
            cmd->verb = row->verb;
            cmd->args++;
            cmd->n_args--;
            return -1;
        }
        closest_offer(&near, str_c(row->name));
    }
    if (!has_verbs)
        return -1;
    if (near.best.p)
        return cmd_usage(cmd, "unknown verb \"%s\"; did you mean \"%.*s\"?", cmd->args[0],
                         STR_ARG(near.best));
    return cmd_usage(cmd, "unknown verb \"%s\"", cmd->args[0]);
}

/* An option that the verb would not look at is a mistake. */
static int refuse_foreign(const struct cmd *cmd, enum cmd_id command)
{
    for (size_t i = 0; i < cmd->n_options; i++) {
        const struct option_row *row = option_rows;
        while (row->id != cmd->options[i].id)
            row++;
        if (option_taken(row, command, cmd->verb))
            continue;
        return cmd_usage(cmd, "%s%s does not take --%s",
                         cmd->verb == VERB_NONE ? "this command" : "the verb ",
                         cmd->verb == VERB_NONE ? "" : verb_name(cmd->verb), row->long_name);
    }
    return -1;
}

/* --help wins over all that follows it; a verb in front of or after it is asked about. */
static int show_help(const struct cmd *cmd, enum cmd_id command, int argc, char **argv)
{
    const struct verb_row *verb = NULL;

    for (int i = 1; i < argc && !verb; i++)
        verb = verb_find(command, str_c(argv[i]));
    if (verb)
        help_verb(cmd->out, verb);
    else
        help_command(cmd->out, command);
    return cmd_finish(cmd, EXIT_FINE);
}

int cmd_parse(struct cmd *cmd, enum cmd_id command, int argc, char **argv)
{
    struct getopt_tables tables;
    enum cmd_color color = COLOR_AUTO;
    int value;
    struct cmd_option *store = calloc((size_t)argc, sizeof *store);

    *cmd = (struct cmd){ .name = command_rows[command].name, .out = stdout, .err = stderr };
    cmd->env = env_system();
    cmd->options = store;
    if (!store)
        return cmd_error(cmd, &(struct err){ .code = E_NOMEM });
    getopt_tables_fill(&tables, command);
    optind = 1;
    opterr = 0;
    while ((value = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
        if (value == ':')
            return cmd_usage(cmd, "option %s needs a value", argv[optind - 1]);
        if (value == '?')
            return unknown_option(cmd, command, argv[optind - 1]);
        const struct option_row *row = option_of(command, value);
        CHECK(row);
        if (row->id == OPT_help)
            return show_help(cmd, command, argc, argv);
        int status = take_option(cmd, store, row, &color);
        if (status >= 0)
            return status;
    }
    cmd->color = color_enabled(color);
    cmd->args = argv + optind;
    cmd->n_args = (size_t)(argc - optind);
    int status = take_verb(cmd, command);
    return status < 0 ? refuse_foreign(cmd, command) : status;
}

void cmd_fini(struct cmd *cmd)
{
    free(cmd->options);
    cmd->options = NULL;
    cmd->n_options = 0;
}

const char *cmd_value_at(const struct cmd *cmd, enum cmd_opt id, size_t index)
{
    for (size_t i = 0; i < cmd->n_options; i++)
        if (cmd->options[i].id == id && index-- == 0)
            return cmd->options[i].value;
    return NULL;
}

const char *cmd_value(const struct cmd *cmd, enum cmd_opt id)
{
    for (size_t i = cmd->n_options; i > 0; i--)
        if (cmd->options[i - 1].id == id)
            return cmd->options[i - 1].value;
    return NULL;
}

bool cmd_flag(const struct cmd *cmd, enum cmd_opt id)
{
    for (size_t i = 0; i < cmd->n_options; i++)
        if (cmd->options[i].id == id)
            return true;
    return false;
}

int cmd_error(const struct cmd *cmd, const struct err *e)
{
    (void)fprintf(cmd->err, "pgseal %s: ", cmd->name);
    if (e->file[0] && e->line)
        (void)fprintf(cmd->err, "%s:%u: ", e->file, e->line);
    else if (e->file[0])
        (void)fprintf(cmd->err, "%s: ", e->file);
    (void)fprintf(cmd->err, "%s\n", err_text(e));
    if (e->detail[0])
        (void)fprintf(cmd->err, "DETAIL:  %s\n", e->detail);
    if (e->hint[0])
        (void)fprintf(cmd->err, "HINT:  %s\n", e->hint);
    return code_exit(e->code);
}

static void print_diag(FILE *out, const struct diag *diag)
{
    if (diag->file.n && diag->line)
        (void)fprintf(out, "%.*s:%u: ", STR_ARG(diag->file), diag->line);
    else if (diag->file.n)
        (void)fprintf(out, "%.*s: ", STR_ARG(diag->file));
    (void)fprintf(out, "%s:  %.*s\n", severity_name(diag->severity), STR_ARG(diag->message));
    if (diag->detail.n)
        (void)fprintf(out, "DETAIL:  %.*s\n", STR_ARG(diag->detail));
    if (diag->hint.n)
        (void)fprintf(out, "HINT:  %.*s\n", STR_ARG(diag->hint));
}

int cmd_diags(const struct cmd *cmd, const struct diags *diags)
{
    const struct diag *diag;
    int status = diags->nomem ? code_exit(E_NOMEM) : EXIT_FINE;

    STAILQ_FOREACH (diag, &diags->list, next) {
        bool refuses = diag->severity >= SEV_ERROR && diag->severity != SEV_LOG;
        if (refuses && status == EXIT_FINE)
            status = code_exit(diag->code);
        if (refuses || diag->severity == SEV_WARNING || cmd->verbose)
            print_diag(cmd->err, diag);
    }
    return status;
}

const char *cmd_tint(const struct cmd *cmd, enum tint tint)
{
    if (!cmd->color)
        return "";
    return tint == TINT_GOOD ? "\033[32m" : "\033[31m";
}

const char *cmd_tint_end(const struct cmd *cmd)
{
    return cmd->color ? "\033[0m" : "";
}

int cmd_finish(const struct cmd *cmd, int status)
{
    if (fflush(cmd->out) == 0 && !ferror(cmd->out))
        return status;
    (void)fprintf(cmd->err, "pgseal %s: could not write the output: %m\n", cmd->name);
    return EXIT_CANNOT_RUN;
}
