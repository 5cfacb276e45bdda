/*
 * Completion from the rows of tables/commands.def, for bash, zsh and fish.
 *
 * An argument called FILE or DIR is completed with files or directories, one with WORDS with these; of any
 * other nothing is known. Each verb has its own options.
 */
#include "tabledoc_completion.h"

#include "base/buf.h"
#include "base/check.h"
#include "cmd/table.h"

enum completes { COMPLETES_NOTHING, COMPLETES_FILES, COMPLETES_DIRS, COMPLETES_WORDS };

static bool holds(const char *text, const char *word)
{
    return strstr(text, word) != NULL;
}

static enum completes completes_option(const struct option_row *row)
{
    if (option_words(row))
        return COMPLETES_WORDS;
    if (holds(row->argument, "FILE"))
        return COMPLETES_FILES;
    return holds(row->argument, "DIR") ? COMPLETES_DIRS : COMPLETES_NOTHING;
}

/* Of "-D DIR", which tells of an option, nothing is left. */
static enum completes completes_arguments(const char *arguments)
{
    if (arguments[0] == '-')
        return COMPLETES_NOTHING;
    if (holds(arguments, "FILE"))
        return COMPLETES_FILES;
    return holds(arguments, "DIR") ? COMPLETES_DIRS : COMPLETES_NOTHING;
}

/* One command, or one verb of it. */
struct place {
    enum cmd_id command;
    const struct verb_row *verb; /* NULL: the command has none, or none was typed yet */
};

static const char *place_verb(struct place place)
{
    return place.verb ? place.verb->name : "";
}

static const char *place_arguments(struct place place)
{
    return place.verb ? place.verb->arguments : command_rows[place.command].arguments;
}

static bool takes(struct place place, const struct option_row *row)
{
    return option_taken(row, place.command, place.verb ? place.verb->verb : VERB_NONE);
}

static void each_place(struct buf *out, void (*append)(struct buf *out, struct place place))
{
    for (enum cmd_id command = CMD_COMMON + 1; command < CMD_COUNT; command++) {
        append(out, (struct place){ command, NULL });
        for (const struct verb_row *verb = verb_rows; verb->name; verb++)
            if (verb->command == command)
                append(out, (struct place){ command, verb });
    }
}

static void append_verbs(struct buf *out, enum cmd_id command, const char *between)
{
    bool any = false;

    for (const struct verb_row *verb = verb_rows; verb->name; verb++) {
        if (verb->command != command)
            continue;
        buf_printf(out, "%s%s", any ? between : "", verb->name);
        any = true;
    }
}

static void append_commands(struct buf *out)
{
    for (const struct command_row *row = &command_rows[CMD_COMMON + 1]; row->name; row++)
        buf_printf(out, "%s%s", row == &command_rows[CMD_COMMON + 1] ? "" : " ", row->name);
}

/* Text within single quotes of a shell. `escape`: other characters that want a backslash. */
static void append_quoted(struct buf *out, const char *text, const char *quote, const char *escape)
{
    for (const char *c = text; *c; c++) {
        if (*c == '\'') {
            buf_append_c(out, quote);
            continue;
        }
        if (strchr(escape, *c))
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*c);
    }
}

/* ---- bash ---- */

static void bash_options(struct buf *out, struct place place)
{
    buf_printf(out, "    '%s %s') options='", command_rows[place.command].name, place_verb(place));
    for (const struct option_row *row = option_rows; row->help; row++)
        if (row->long_name && takes(place, row))
            buf_printf(out, "--%s ", row->long_name);
    switch (completes_arguments(place_arguments(place))) {
    case COMPLETES_FILES:
        buf_append_c(out, "' arguments=files ;;\n");
        return;
    case COMPLETES_DIRS:
        buf_append_c(out, "' arguments=directories ;;\n");
        return;
    case COMPLETES_NOTHING:
    case COMPLETES_WORDS:
        break;
    }
    if (command_has_verbs(place.command) && !place.verb) {
        buf_append_c(out, "' arguments='");
        append_verbs(out, place.command, " ");
        buf_append_c(out, "' ;;\n");
    } else {
        buf_append_c(out, "' ;;\n");
    }
}

static void bash_argument(struct buf *out, enum cmd_id command, const struct option_row *row)
{
    static const char *const kinds[] = {
        [COMPLETES_NOTHING] = "nothing", [COMPLETES_FILES] = "files", [COMPLETES_DIRS] = "directories"
    };
    const char *name = command_rows[command].name;
    enum completes what = completes_option(row);

    buf_append_c(out, "    ");
    if (row->long_name)
        buf_printf(out, "'%s --%s'", name, row->long_name);
    if (row->letter)
        buf_printf(out, "%s'%s -%c'", row->long_name ? "|" : "", name, row->letter);
    buf_printf(out, ") arguments='%s' ;;\n", what == COMPLETES_WORDS ? option_words(row) : kinds[what]);
}

static void bash_arguments(struct buf *out)
{
    for (enum cmd_id command = CMD_COMMON + 1; command < CMD_COUNT; command++)
        for (const struct option_row *row = option_rows; row->help; row++)
            if (row->argument && option_taken(row, command, VERB_NONE))
                bash_argument(out, command, row);
}

static void bash_verb_patterns(struct buf *out)
{
    bool any = false;

    for (const struct verb_row *verb = verb_rows; verb->name; verb++) {
        buf_printf(out, "%s'%s %s'", any ? "|" : "", command_rows[verb->command].name, verb->name);
        any = true;
    }
}

void completion_bash(struct buf *out)
{
    buf_append_c(
        out, "# Made by tools/tabledoc_completion.c from tables/commands.def; edit that.\n"
             "# bash completion of pgseal(1)\n"
             "_pgseal()\n{\n"
             "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
             "    local command=${COMP_WORDS[1]} verb='' options='' arguments='' word\n"
             "    COMPREPLY=()\n"
             "    # bash cuts --option=value at the equals sign.\n"
             "    if [ \"$current\" = = ]; then\n        current=''\n"
             "    elif [ \"$previous\" = = ]; then\n        previous=${COMP_WORDS[COMP_CWORD-2]}\n    fi\n"
             "    for word in \"${COMP_WORDS[@]:2:COMP_CWORD-2}\"; do\n"
             "        case \"$command $word\" in\n        ");
    bash_verb_patterns(out);
    buf_append_c(out, ") verb=$word; break ;;\n        esac\n    done\n    case \"$command $verb\" in\n");
    each_place(out, bash_options);
    buf_append_c(out, "    esac\n    [ \"$command\" != help ] || arguments='");
    append_commands(out);
    buf_append_c(out, "'\n    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        options='--help --version'\n"
                      "        arguments='");
    append_commands(out);
    buf_append_c(out, "'\n    fi\n    case \"$command $previous\" in\n");
    bash_arguments(out);
    buf_append_c(
        out,
        "    *)\n        [[ $current != -* ]] || arguments=$options ;;\n    esac\n"
        "    case \"$arguments\" in\n"
        "    files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
        "    directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
        "    nothing) ;;\n"
        "    *) mapfile -t COMPREPLY < <(compgen -W \"$arguments\" -- \"$current\") ;;\n"
        "    esac\n}\ncomplete -F _pgseal pgseal\n");
}

/* ---- zsh ---- */

/* What _arguments does for an argument of this kind. */
static void zsh_action(struct buf *out, enum completes what, const char *words)
{
    switch (what) {
    case COMPLETES_FILES:
        buf_append_c(out, "_files");
        return;
    case COMPLETES_DIRS:
        buf_append_c(out, "_files -/");
        return;
    case COMPLETES_WORDS:
        buf_printf(out, "(%s)", words);
        return;
    case COMPLETES_NOTHING:
        buf_append_c(out, " ");
        return;
    }
}

static void zsh_option(struct buf *out, const struct option_row *row)
{
    buf_append_c(out, " \\\n            ");
    if (row->long_name && row->letter)
        buf_printf(out, "{-%c%s,--%s%s}", row->letter, row->argument ? "+" : "", row->long_name,
                   row->argument ? "=" : "");
    else if (row->long_name)
        buf_printf(out, "--%s%s", row->long_name, row->argument ? "=" : "");
    else
        buf_printf(out, "-%c%s", row->letter, row->argument ? "+" : "");
    buf_append_c(out, "'[");
    append_quoted(out, row->help, "'\\''", "[]");
    buf_append_c(out, "]");
    if (row->argument) {
        buf_append_c(out, ":");
        append_quoted(out, row->argument, "'\\''", ":");
        buf_append_c(out, ":");
        zsh_action(out, completes_option(row), option_words(row));
    }
    buf_append_c(out, "'");
}

static void zsh_place(struct buf *out, struct place place)
{
    enum completes what = completes_arguments(place_arguments(place));
    bool wants_verb = command_has_verbs(place.command) && !place.verb;

    buf_printf(out, "    '%s %s')\n        _arguments -s -S", command_rows[place.command].name,
               place_verb(place));
    for (const struct option_row *row = option_rows; row->help; row++)
        if (takes(place, row))
            zsh_option(out, row);
    buf_append_c(out, " \\\n            '1: : '");
    if (wants_verb) {
        buf_append_c(out, " \\\n            '2:verb:(");
        append_verbs(out, place.command, " ");
        buf_append_c(out, ")'");
    } else if (place.verb) {
        buf_append_c(out, " \\\n            '2: : '");
    }
    if (place.command == CMD_help) {
        buf_append_c(out, " \\\n            '*:command:(");
        append_commands(out);
        buf_append_c(out, ")'");
    } else if (!wants_verb) {
        buf_append_c(out, " \\\n            '*:argument:");
        zsh_action(out, what, NULL);
        buf_append_c(out, "'");
    }
    buf_append_c(out, " ;;\n");
}

static void zsh_descriptions(struct buf *out)
{
    for (const struct command_row *row = &command_rows[CMD_COMMON + 1]; row->name; row++) {
        buf_printf(out, "        '%s:", row->name);
        append_quoted(out, row->summary, "'\\''", ":");
        buf_append_c(out, "'\n");
    }
}

void completion_zsh(struct buf *out)
{
    buf_append_c(
        out, "#compdef pgseal\n# Made by tools/tabledoc_completion.c from tables/commands.def; edit that.\n"
             "_pgseal() {\n    local verb='' word\n    local -a commands\n    commands=(\n");
    zsh_descriptions(out);
    buf_append_c(out,
                 "    )\n    if (( CURRENT == 2 )); then\n"
                 "        _describe -t commands 'command' commands\n        return\n    fi\n"
                 "    for word in ${words[3,CURRENT-1]}; do\n        case \"$words[2] $word\" in\n        ");
    bash_verb_patterns(out);
    buf_append_c(out, ") verb=$word; break ;;\n        esac\n    done\n    case \"$words[2] $verb\" in\n");
    each_place(out, zsh_place);
    buf_append_c(out, "    esac\n}\n_pgseal \"$@\"\n");
}

/* ---- fish ---- */

static void fish_option(struct buf *out, struct place place, const struct option_row *row)
{
    buf_printf(out, "complete -c pgseal -n '__pgseal_at %s %s'", command_rows[place.command].name,
               place_verb(place));
    if (row->long_name)
        buf_printf(out, " -l %s", row->long_name);
    if (row->letter)
        buf_printf(out, " -s %c", row->letter);
    if (row->argument) {
        switch (completes_option(row)) {
        case COMPLETES_FILES:
            buf_append_c(out, " -r -F");
            break;
        case COMPLETES_DIRS:
            buf_append_c(out, " -x -a '(__fish_complete_directories (commandline -ct))'");
            break;
        case COMPLETES_WORDS:
            buf_printf(out, " -x -a '%s'", option_words(row));
            break;
        case COMPLETES_NOTHING:
            buf_append_c(out, " -x");
            break;
        }
    }
    buf_append_c(out, " -d '");
    append_quoted(out, row->help, "\\'", "\\");
    buf_append_c(out, "'\n");
}

static void fish_verbs(struct buf *out, struct place place)
{
    if (place.verb || !command_has_verbs(place.command))
        return;
    for (const struct verb_row *verb = verb_rows; verb->name; verb++) {
        if (verb->command != place.command)
            continue;
        buf_printf(out, "complete -c pgseal -n '__pgseal_lacks_verb %s ", command_rows[place.command].name);
        append_verbs(out, place.command, " ");
        buf_printf(out, "' -a %s -d '", verb->name);
        append_quoted(out, verb->summary, "\\'", "\\");
        buf_append_c(out, "'\n");
    }
}

static void fish_place(struct buf *out, struct place place)
{
    bool wants_verb = command_has_verbs(place.command) && !place.verb;

    fish_verbs(out, place);
    for (const struct option_row *row = option_rows; row->help && !wants_verb; row++)
        if (takes(place, row))
            fish_option(out, place, row);
    if (wants_verb)
        return;
    buf_printf(out, "complete -c pgseal -n '__pgseal_at %s %s'", command_rows[place.command].name,
               place_verb(place));
    switch (completes_arguments(place_arguments(place))) {
    case COMPLETES_FILES:
        buf_append_c(out, " -F\n");
        return;
    case COMPLETES_DIRS:
        buf_append_c(out, " -a '(__fish_complete_directories (commandline -ct))'\n");
        return;
    case COMPLETES_NOTHING:
    case COMPLETES_WORDS:
        break;
    }
    buf_append_c(out, place.command == CMD_help ? " -a '" : " -f\n");
    if (place.command != CMD_help)
        return;
    append_commands(out);
    buf_append_c(out, "'\n");
}

void completion_fish(struct buf *out)
{
    buf_append_c(out, "# Made by tools/tabledoc_completion.c from tables/commands.def; edit that.\n"
                      "# fish completion of pgseal(1)\n"
                      "# True when the command, and the verb if one is named, are among the words typed.\n"
                      "function __pgseal_at\n"
                      "    set -l typed (string match -v -- '-*' (commandline -opc))\n"
                      "    set -e typed[1]\n"
                      "    test \"$typed[1]\" = \"$argv[1]\"; or return 1\n"
                      "    test -z \"$argv[2]\"; or contains -- $argv[2] $typed[2..-1]\n"
                      "end\n"
                      "function __pgseal_lacks_command\n"
                      "    test (count (string match -v -- '-*' (commandline -opc))) -eq 1\n"
                      "end\n"
                      "function __pgseal_lacks_verb\n"
                      "    __pgseal_at $argv[1]; or return 1\n"
                      "    for verb in $argv[2..-1]\n"
                      "        __pgseal_at $argv[1] $verb; and return 1\n"
                      "    end\n"
                      "    return 0\n"
                      "end\n"
                      "complete -c pgseal -f\n"
                      "complete -c pgseal -n __pgseal_lacks_command -l help -s h -d 'list the commands'\n"
                      "complete -c pgseal -n __pgseal_lacks_command -l version -s V -d 'show the version'\n");
    for (const struct command_row *row = &command_rows[CMD_COMMON + 1]; row->name; row++) {
        buf_printf(out, "complete -c pgseal -n __pgseal_lacks_command -a %s -d '", row->name);
        append_quoted(out, row->summary, "\\'", "\\");
        buf_append_c(out, "'\n");
    }
    each_place(out, fish_place);
}
