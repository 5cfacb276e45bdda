/* The reference page of the status database: views, functions and session settings, from their tables. */
#include "tabledoc_views.h"

#include "base/buf.h"
#include "pgtypes/type.h"
#include "status/rows.h"
#include "status/vars.h"
#include "status/views.h"

struct function_row {
    const char *name;
    const char *args;
    char result;
};

static const struct function_row functions[] = {
#define X(name, args, result, emit, flags) { name, args, result },
#include "functions.def"
#undef X
};

static const char *const access_words[] = {
    [ACCESS_ALL] = "everybody sees all rows",
    [ACCESS_OWN] = "users not in `admin_users` or `stats_users` see their own sessions",
    [ACCESS_MASK] = "users not in `admin_users` or `stats_users` see of other sessions only whose they are",
    [ACCESS_PRIVILEGED] = "`admin_users` and `stats_users` only",
    [ACCESS_ADMIN] = "`admin_users` only",
    [ACCESS_SETTINGS] =
        "some rows, and file and line of the source, are for `admin_users` and `stats_users` only",
    [ACCESS_BUILTIN] = "everybody; made from this table",
};

/* A cell of a Markdown table. */
static void cell(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '|' || *text == '<')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)*text);
    }
}

static void view_section(struct buf *out, const struct view_def *view)
{
    buf_printf(out, "\n### %s\n\n", view->name);
    cell(out, view->help);
    buf_printf(out, "; %s.\n\n| column | type | meaning |\n|---|---|---|\n", access_words[view->access]);
    for (size_t i = 0; i < view->column_count; i++) {
        buf_printf(out, "| `%s` | %s | ", view->columns[i].name, pg_type_def(view->columns[i].type)->label);
        cell(out, view->columns[i].help);
        buf_append_c(out, " |\n");
    }
}

static void views_of(struct buf *out, const char *title, enum view_schema schema, bool builtin)
{
    buf_printf(out, "\n## %s\n", title);
    for (size_t i = 0; i < VIEW_COUNT; i++) {
        const struct view_def *view = view_def((enum view)i);
        if (view->schema == schema && (view->access == ACCESS_BUILTIN) == builtin)
            view_section(out, view);
    }
}

static const char *type_word(char code)
{
    switch (code) {
    case 'b':
        return "boolean";
    case '4':
        return "integer";
    case '8':
        return "bigint";
    case 'o':
        return "oid";
    case 't':
        return "text";
    case 'm':
        return "name";
    case 'n':
        return "numeric";
    case 'f':
        return "double precision";
    case 'i':
        return "inet";
    case 'z':
        return "timestamptz";
    case 'p':
        return "timestamp";
    case 'd':
        return "date";
    case 'v':
        return "interval";
    case 'T':
        return "text[]";
    case 'A':
        return "anyarray";
    case 'E':
    case 'e':
        return "anyelement";
    default:
        return "any";
    }
}

static void function_list(struct buf *out)
{
    buf_append_c(out, "\n## Functions\n\n| function | result |\n|---|---|\n");
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (str_starts(str_c(functions[i].name), STR("pgseal_"))) /* what operators and subscripts become */
            continue;
        buf_printf(out, "| `%s(", functions[i].name);
        for (const char *arg = functions[i].args; *arg; arg++) {
            if (*arg == '+')
                buf_append_c(out, ", …");
            else
                buf_printf(out, "%s%s", arg == functions[i].args ? "" : ", ", type_word(*arg));
        }
        buf_printf(out, ")` | %s |\n", type_word(functions[i].result));
    }
}

static void setting_list(struct buf *out)
{
    struct vars *vars = vars_new();
    struct str name, value, help;

    if (vars == NULL) {
        out->failed = true;
        return;
    }
    buf_append_c(out, "\n## Settings of a session\n\n| setting | default | meaning |\n|---|---|---|\n");
    for (size_t i = 0; vars_at(vars, i, &name, &value, &help); i++)
        if (!str_is(name, "server_version"))
            buf_printf(out, "| `%.*s` | %.*s | %.*s |\n", STR_ARG(name), STR_ARG(value), STR_ARG(help));
    vars_free(vars);
}

void views_page(struct buf *out)
{
    buf_append_c(
        out,
        "<!-- Made by tools/tabledoc from tables/views.def, functions.def and vars.def; edit those. -->\n"
        "# The status database\n\nIts SQL is described in [sql.md](sql.md).\n");
    views_of(out, "Views of PostgreSQL", SCHEMA_CATALOG, false);
    views_of(out, "Views of pgseal", SCHEMA_PUBLIC, false);
    views_of(out, "System catalog", SCHEMA_CATALOG, true);
    function_list(out);
    setting_list(out);
}
