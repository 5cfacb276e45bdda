/*
 * Documents from the tables in tables/: manual pages of all commands and of pgseal.conf, and
 * docs/settings.md; docs/views.md; docs/metrics.md; docs/checks.md; docs/causes.md; docs/rotate-settings.md.
 *
 *   tabledoc DIR     writes DIR/man/…, DIR/settings.md, DIR/views.md, DIR/metrics.md, DIR/checks.md,
 *                    DIR/causes.md, DIR/rotate-settings.md and DIR/completion.bash, .zsh, .fish
 *
 * The rows are the ones the program itself is made of, so the documents cannot tell another story than the
 * parser. Nothing here depends on the day or the machine.
 */
#include "base/buf.h"
#include "base/check.h"
#include "cmd/table.h"
#include "conf/defs.h"
#include "conf/settings_impl.h"
#include "conf/value.h"
#include "tabledoc_causes.h"
#include "tabledoc_checks.h"
#include "tabledoc_completion.h"
#include "tabledoc_metrics.h"
#include "tabledoc_rotate.h"
#include "tabledoc_views.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { DOC_MAX = 1 << 20, PATH_TEXT_MAX = 4096 };

static const char *const exit_statuses[][2] = {
    { "0", "Success, and no finding." },
    { "1", "There is a finding, or something was refused." },
    { "2", "Invalid usage." },
    { "3", "The command could not run." },
};

enum manual_section { FILES, ENVIRONMENT };

static const struct {
    const char *page;
    enum manual_section section;
    const char *name, *text;
} manual_rows[] = {
#define X(page, section, name, text) { page, section, name, text },
#include "manual.def"
#undef X
};

/* ---- texts ---- */

/* roff gives a meaning to backslashes, to hyphens, and to dots and quotes at the beginning of a line. */
static void roff(struct buf *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'')
        buf_append_c(out, "\\&");
    for (const char *c = text; *c; c++) {
        if (*c == '\\')
            buf_append_c(out, "\\e");
        else if (*c == '-')
            buf_append_c(out, "\\-");
        else
            buf_append_byte(out, (uint8_t)*c);
    }
}

static void roff_line(struct buf *out, const char *macro, const char *text)
{
    buf_append_c(out, macro);
    roff(out, text);
    buf_append_c(out, "\n");
}

/* A cell of a Markdown table. */
static void markdown(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '|' || *c == '<' || *c == '*')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*c);
    }
}

/* ---- commands ---- */

static void man_option(struct buf *out, const struct option_row *row)
{
    buf_append_c(out, ".TP\n");
    if (row->letter)
        buf_printf(out, "\\fB\\-%c\\fR", row->letter);
    if (row->letter && row->long_name)
        buf_append_c(out, ", ");
    if (row->long_name) {
        buf_append_c(out, "\\fB\\-\\-");
        roff(out, row->long_name);
        buf_append_c(out, "\\fR");
    }
    if (row->argument) {
        buf_append_c(out, row->long_name ? "=\\fI" : " \\fI");
        roff(out, row->argument);
        buf_append_c(out, "\\fR");
    }
    buf_append_c(out, "\n");
    roff_line(out, "", row->help);
}

/* The options of `owner` that a command takes; CMD_COMMON takes all of its own. */
static void man_options(struct buf *out, enum cmd_id command, enum cmd_id owner)
{
    for (const struct option_row *row = option_rows; row->help; row++)
        if (row->command == owner && (command == CMD_COMMON || option_taken(row, command, VERB_NONE)))
            man_option(out, row);
}

/* Which options a verb takes, by their names. */
static void man_verb_options(struct buf *out, const struct verb_row *verb)
{
    const char *before = ".br\nOptions: ";

    for (const struct option_row *row = option_rows; row->help; row++) {
        bool always = row->id == OPT_verbose || row->id == OPT_help;
        if (always || !row->long_name || !option_taken(row, verb->command, verb->verb))
            continue;
        buf_printf(out, "%s\\fB\\-\\-", before);
        roff(out, row->long_name);
        buf_append_c(out, "\\fR");
        before = ", ";
    }
    buf_append_c(out, ".\n");
}

static void man_head(struct buf *out, const char *page, const char *section, const char *summary)
{
    buf_printf(out, ".\\\" Made by tools/tabledoc.c from tables/*.def; edit those.\n.TH ");
    for (const char *c = page; *c; c++)
        buf_append_byte(out, (uint8_t)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c));
    buf_printf(out, " %s \"\" \"pgseal %s\" \"pgseal\"\n.SH NAME\n", section, PGSEAL_VERSION);
    roff(out, page);
    buf_append_c(out, " \\- ");
    roff(out, summary);
    buf_append_c(out, "\n");
}

static void man_exit_status(struct buf *out)
{
    buf_append_c(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; i < COUNT_OF(exit_statuses); i++)
        buf_printf(out, ".TP\n%s\n%s\n", exit_statuses[i][0], exit_statuses[i][1]);
}

static void man_section(struct buf *out, const char *page, enum manual_section section)
{
    static const char *const headings[] = { [FILES] = "FILES", [ENVIRONMENT] = "ENVIRONMENT" };
    bool any = false;

    for (size_t i = 0; i < COUNT_OF(manual_rows); i++) {
        if (manual_rows[i].section != section || !str_is(str_c(page), manual_rows[i].page))
            continue;
        if (!any)
            buf_printf(out, ".SH %s\n", headings[section]);
        roff_line(out, ".TP\n.B ", manual_rows[i].name);
        roff_line(out, "", manual_rows[i].text);
        any = true;
    }
}

static void man_verbs(struct buf *out, enum cmd_id command)
{
    bool any = false;

    for (const struct verb_row *row = verb_rows; row->name; row++) {
        if (row->command != command)
            continue;
        buf_printf(out, "%s.TP\n\\fB%s\\fR \\fI", any ? "" : ".SH VERBS\n", row->name);
        roff(out, row->arguments);
        buf_append_c(out, "\\fR\n");
        roff_line(out, "", row->summary);
        man_verb_options(out, row);
        any = true;
    }
}

static void man_signals(struct buf *out)
{
    static const struct {
        const char *name, *does;
    } signals[] = {
#define X(name, does) { name, does },
#include "signals.def"
#undef X
    };

    buf_append_c(out, ".SH SIGNALS\n");
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        buf_printf(out, ".TP\n.B %s\n", signals[i].name);
        roff_line(out, "", signals[i].does);
    }
}

static void man_examples(struct buf *out, enum cmd_id command)
{
    bool any = false;

    for (const struct example_row *row = example_rows; row->line; row++) {
        if (row->command != command)
            continue;
        buf_append_c(out, any ? ".TP\n\\fB" : ".SH EXAMPLES\n.TP\n\\fB");
        roff(out, row->line);
        buf_append_c(out, "\\fR\n");
        roff_line(out, "", row->says);
        any = true;
    }
}

static void man_command(struct buf *out, enum cmd_id command)
{
    const struct command_row *row = &command_rows[command];
    AUTO(buf) struct buf page = BUF_INIT(PATH_TEXT_MAX);

    buf_printf(&page, "pgseal-%s", row->name);
    man_head(out, buf_c(&page), "1", row->summary);
    buf_printf(out, ".SH SYNOPSIS\n\\fBpgseal %s\\fR [\\fIOPTION\\fR]... \\fI", row->name);
    roff(out, row->arguments);
    buf_append_c(out, "\\fR\n.SH DESCRIPTION\n");
    roff_line(out, "", row->description);
    man_verbs(out, command);
    buf_append_c(out, ".SH OPTIONS\n");
    man_options(out, command, command);
    man_options(out, command, CMD_COMMON);
    if (command == CMD_serve)
        man_signals(out);
    man_section(out, buf_c(&page), ENVIRONMENT);
    man_section(out, buf_c(&page), FILES);
    man_exit_status(out);
    man_examples(out, command);
    buf_append_c(out, ".SH SEE ALSO\n.BR pgseal (1),\n.BR pgseal.conf (5)\n");
}

static void man_program(struct buf *out)
{
    const struct command_row *self = &command_rows[CMD_COMMON];

    man_head(out, self->name, "1", self->summary);
    buf_append_c(
        out,
        ".SH SYNOPSIS\n\\fBpgseal\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...\n.br\n"
        "\\fBpgseal \\-\\-version\\fR\n.SH DESCRIPTION\n"
        "pgseal is a TLS gate in front of a PostgreSQL server: it checks connections against pg_hba.conf\n"
        "as the server would. Its other commands examine configurations and servers, and issue and renew\ncertificates.\n.SH COMMANDS\n");
    for (const struct command_row *row = self + 1; row->name; row++) {
        buf_printf(out, ".TP\n\\fB%s\\fR\n", row->name);
        roff_line(out, "", row->summary);
    }
    buf_append_c(out, ".SH COMMON OPTIONS\nThe page of a command says which of them it takes.\n");
    man_options(out, CMD_COMMON, CMD_COMMON);
    man_exit_status(out);
    buf_append_c(out, ".SH SEE ALSO\n");
    for (const struct command_row *row = self + 1; row->name; row++)
        buf_printf(out, ".BR pgseal\\-%s (1),\n", row->name);
    buf_append_c(out, ".BR pgseal.conf (5)\n");
}

/* ---- settings ---- */

/* The defaults' rows, as pg_settings would show them. */
static struct settings *load_defaults(struct arena *arena)
{
    struct settings_params params = { .dir = STR("/DIR"), .config_file = STR("/dev/null") };
    struct settings *settings = NULL;
    struct diags diags;

    diags_init(&diags, arena);
    CHECK(settings_load(&params, &settings, &diags) == OK);
    return settings;
}

/* "integer, 1s .. 10min" or "enum: a, b". */
static void describe_type(struct buf *out, const struct setting_row *row)
{
    buf_append_str(out, row->vartype);
    if (row->min_val.p)
        buf_printf(out, ", %.*s .. %.*s%s%.*s", STR_ARG(row->min_val), STR_ARG(row->max_val),
                   row->unit.n ? " " : "", STR_ARG(row->unit));
    for (size_t i = 0; i < row->enumvals.n; i++) {
        bool empty = row->enumvals.at[i].n == 0;
        buf_printf(out, "%s%.*s", i ? ", " : ": ", STR_ARG(empty ? STR("''") : row->enumvals.at[i]));
    }
    /* pg_settings calls lists of words strings, as PostgreSQL does. */
    const struct setting_def *def = setting_def_find(row->name);
    if (def && (def->type == SETTING_FLAGS || def->type == SETTING_LOGINS)) {
        buf_append_c(out, ", list of: ");
        setting_words_list(def, out);
    }
}

static struct str default_of(const struct setting_row *row)
{
    if (row->context == SETTING_INTERNAL)
        return row->boot_val.p ? row->boot_val : STR("");
    return row->show;
}

static bool first_of_category(const struct settings *settings, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (str_equal(settings->rows[i].category, settings->rows[index].category))
            return false;
    return true;
}

static const char *when_of(enum setting_context context)
{
    switch (context) {
    case SETTING_INTERNAL:
        return "shown only";
    case SETTING_POSTMASTER:
        return "at start";
    case SETTING_SIGHUP:
        return "on reload";
    }
    UNREACHABLE();
}

static void man_setting(struct buf *out, const struct setting_row *row)
{
    AUTO(buf) struct buf text = BUF_INIT(DOC_MAX);

    buf_printf(&text, "%.*s", STR_ARG(row->name));
    roff_line(out, ".TP\n.B ", buf_c(&text));
    buf_reset(&text);
    buf_append_str(&text, row->short_desc);
    if (row->extra_desc.n)
        buf_printf(&text, " %.*s", STR_ARG(row->extra_desc));
    roff_line(out, "", buf_c(&text));
    buf_reset(&text);
    buf_append_c(&text, "(");
    describe_type(&text, row);
    if (default_of(row).n)
        buf_printf(&text, "; default %.*s", STR_ARG(default_of(row)));
    buf_printf(&text, "; %s)", when_of(row->context));
    roff_line(out, ".br\n", buf_c(&text));
}

static void man_settings(struct buf *out, const struct settings *settings)
{
    man_head(out, "pgseal.conf", "5", "settings of a gate");
    buf_append_c(
        out,
        ".SH DESCRIPTION\nThe file has the syntax of postgresql.conf: \\fIname = value\\fR, one setting on each line.\n"
        "Strings are in single quotes, and comments begin with #. \\fBinclude\\fR, \\fBinclude_if_exists\\fR and\n"
        "\\fBinclude_dir\\fR include other files. If a setting occurs more than once, the last value counts. A file\n"
        "with an unknown setting or an invalid value is refused as a whole, and every error is reported.\n.PP\n"
        "Settings that PostgreSQL has, too, have the same names, units and defaults. \\fBupstream\\fR, \\fBauth_source\\fR and\n"
        "\\fBupstream_login\\fR may be set for one database, as in \\fBupstream.\\fINAME\\fR or\n"
        "\\fBupstream.\\(dqMy Db\\(dq\\fR; these names are case-sensitive.\n");
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (!first_of_category(settings, i))
            continue;
        buf_printf(out, ".SH %.*s\n", STR_ARG(settings->rows[i].category));
        for (size_t j = i; j < settings->n_rows; j++)
            if (str_equal(settings->rows[j].category, settings->rows[i].category))
                man_setting(out, &settings->rows[j]);
    }
    man_section(out, "pgseal.conf", FILES);
    buf_append_c(out, ".SH SEE ALSO\n.BR pgseal (1)\n");
}

static void markdown_setting(struct buf *out, const struct setting_row *row)
{
    AUTO(buf) struct buf text = BUF_INIT(DOC_MAX);

    buf_printf(out, "| `%.*s` | ", STR_ARG(row->name));
    describe_type(&text, row);
    markdown(out, buf_c(&text));
    buf_append_c(out, " | ");
    if (default_of(row).n)
        buf_printf(out, "`%.*s`", STR_ARG(default_of(row)));
    buf_printf(out, " | %s | ", when_of(row->context));
    buf_reset(&text);
    buf_append_str(&text, row->short_desc);
    if (row->extra_desc.n)
        buf_printf(&text, " %.*s", STR_ARG(row->extra_desc));
    markdown(out, buf_c(&text));
    buf_append_c(out, " |\n");
}

static void markdown_settings(struct buf *out, const struct settings *settings)
{
    struct setting_family families[SETTING_N_FAMILIES];

    setting_families(families);
    buf_append_c(
        out,
        "<!-- Made by tools/tabledoc.c from tables/settings.def; edit that. -->\n# Settings\n\n"
        "Settings of PostgreSQL have its names, units and defaults. `DIR` is the gate's directory.\n"
        "What is read *at start* needs a restart; a changed value takes effect at the next start, and is "
        "logged.\n");
    for (size_t i = 0; i < settings->n_rows; i++) {
        if (!first_of_category(settings, i))
            continue;
        buf_printf(out, "\n## %.*s\n\n| setting | type | default | read | meaning |\n|---|---|---|---|---|\n",
                   STR_ARG(settings->rows[i].category));
        for (size_t j = i; j < settings->n_rows; j++)
            if (str_equal(settings->rows[j].category, settings->rows[i].category))
                markdown_setting(out, &settings->rows[j]);
    }
    buf_append_c(out, "\n## Per database or user\n\n| setting | meaning |\n|---|---|\n");
    for (size_t i = 0; i < SETTING_N_FAMILIES; i++)
        buf_printf(out, "| `%s.NAME` | %s |\n", families[i].def->name, families[i].short_desc);
    buf_append_c(
        out,
        "\nNAME is the database the client asks for, or its user; case matters, and a name that is not a "
        "plain\nidentifier is written in double quotes, as in `upstream.\"My Db\" = 'host=db2'`.\n");
}

/* ---- files ---- */

static bool write_doc(const char *dir, const char *name, const struct buf *text)
{
    AUTO(buf) struct buf path = BUF_INIT(PATH_TEXT_MAX);

    buf_printf(&path, "%s/%s", dir, name);
    FILE *file = buf_ok(text) ? fopen(buf_c(&path), "w") : NULL;
    bool ok = file && fwrite(text->p, 1, text->n, file) == text->n;
    if (file && fclose(file) != 0)
        ok = false;
    if (!ok)
        (void)fprintf(stderr, "tabledoc: could not write \"%s\": %m\n", buf_c(&path));
    return ok;
}

static bool write_commands(const char *dir)
{
    bool ok = true;

    for (enum cmd_id command = CMD_COMMON; command < CMD_COUNT; command++) {
        AUTO(buf) struct buf text = BUF_INIT(DOC_MAX);
        AUTO(buf) struct buf name = BUF_INIT(PATH_TEXT_MAX);
        if (command == CMD_COMMON) {
            man_program(&text);
            buf_append_c(&name, "man/pgseal.1");
        } else {
            man_command(&text, command);
            buf_printf(&name, "man/pgseal-%s.1", command_rows[command].name);
        }
        ok &= write_doc(dir, buf_c(&name), &text);
    }
    return ok;
}

static bool write_completion(const char *dir)
{
    static const struct {
        const char *name;
        void (*append)(struct buf *out);
    } shells[] = { { "completion.bash", completion_bash },
                   { "completion.zsh", completion_zsh },
                   { "completion.fish", completion_fish } };
    bool ok = true;

    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        AUTO(buf) struct buf text = BUF_INIT(DOC_MAX);
        shells[i].append(&text);
        ok &= write_doc(dir, shells[i].name, &text);
    }
    return ok;
}

static bool write_views(const char *dir)
{
    AUTO(buf) struct buf out = BUF_INIT(DOC_MAX);

    views_page(&out);
    return write_doc(dir, "views.md", &out);
}

static bool write_metrics(const char *dir)
{
    AUTO(buf) struct buf out = BUF_INIT(DOC_MAX);

    metrics_page(&out);
    return write_doc(dir, "metrics.md", &out);
}

static bool write_checks(const char *dir)
{
    AUTO(buf) struct buf out = BUF_INIT(DOC_MAX);

    checks_page(&out);
    return write_doc(dir, "checks.md", &out);
}

static bool write_causes(const char *dir)
{
    AUTO(buf) struct buf out = BUF_INIT(DOC_MAX);

    causes_page(&out);
    return write_doc(dir, "causes.md", &out);
}

static bool write_rotate(const char *dir)
{
    AUTO(buf) struct buf out = BUF_INIT(DOC_MAX);

    rotate_page(&out);
    return write_doc(dir, "rotate-settings.md", &out);
}

static bool write_settings(const char *dir)
{
    AUTO(buf) struct buf man = BUF_INIT(DOC_MAX);
    AUTO(buf) struct buf page = BUF_INIT(DOC_MAX);
    struct arena arena;

    arena_init(&arena, DOC_MAX, 1024);
    struct settings *settings = load_defaults(&arena);
    man_settings(&man, settings);
    markdown_settings(&page, settings);
    settings_unref(settings);
    arena_fini(&arena);
    return write_doc(dir, "man/pgseal.conf.5", &man) && write_doc(dir, "settings.md", &page);
}

int main(int argc, char **argv)
{
    AUTO(buf) struct buf man = BUF_INIT(PATH_TEXT_MAX);

    if (argc != 2) {
        (void)fprintf(stderr, "usage: tabledoc DIR\n");
        return EXIT_USAGE;
    }
    buf_printf(&man, "%s/man", argv[1]);
    (void)mkdir(argv[1], 0777);
    (void)mkdir(buf_c(&man), 0777);
    return write_commands(argv[1]) && write_completion(argv[1]) && write_settings(argv[1]) &&
                   write_views(argv[1]) && write_metrics(argv[1]) && write_checks(argv[1]) &&
                   write_causes(argv[1]) && write_rotate(argv[1])
               ? EXIT_FINE
               : EXIT_CANNOT_RUN;
}
