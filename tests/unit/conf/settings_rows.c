/*
 * What a gate's directory says, for tests/integration/test_settings.py, as JSON.
 *
 *   settings_rows rows DIR [NAME=VALUE]...    rows of pg_settings, or the errors
 *   settings_rows file DIR                    rows of pg_file_settings
 */
#include "base/arena.h"
#include "base/check.h"
#include "conf/defs.h"
#include "conf/settings.h"

#include <stdio.h>

/* Bytes as Latin-1 code points, so that any text is valid JSON. */
static void put_str(struct str s)
{
    if (!s.p) {
        (void)fputs("null", stdout);
        return;
    }
    (void)putchar('"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 32 || c > 126 || c == '"' || c == '\\')
            (void)printf("\\u%04x", c);
        else
            (void)putchar(c);
    }
    (void)putchar('"');
}

static void put(const char *key, struct str value)
{
    (void)printf(", \"%s\": ", key);
    put_str(value);
}

static void put_names(struct settings_names names)
{
    (void)fputs(", \"enumvals\": ", stdout);
    if (names.n == 0)
        (void)fputs("null", stdout);
    for (size_t i = 0; i < names.n; i++) {
        (void)fputs(i ? ", " : "[", stdout);
        put_str(names.at[i]);
    }
    if (names.n > 0)
        (void)putchar(']');
}

static void put_row(const struct setting_row *row)
{
    (void)printf("{\"hidden\": %s, \"sourceline\": %u", row->hidden ? "true" : "false", row->sourceline);
    put("name", row->name);
    put("show", row->show);
    put("setting", row->setting);
    put("unit", row->unit);
    put("category", row->category);
    put("short_desc", row->short_desc);
    put("extra_desc", row->extra_desc);
    put("vartype", row->vartype);
    put("min_val", row->min_val);
    put("max_val", row->max_val);
    put_names(row->enumvals);
    put("boot_val", row->boot_val);
    put("reset_val", row->reset_val);
    put("context", str_c(setting_context_name(row->context)));
    put("source", str_c(setting_source_name(row->source)));
    put("sourcefile", row->sourcefile);
    (void)putchar('}');
}

static void put_diag(const struct diag *diag)
{
    (void)fputs("{\"severity\": ", stdout);
    put_str(str_c(severity_name(diag->severity)));
    put("sqlstate", str_c(code_sqlstate(diag->code)));
    put("message", diag->message);
    put("detail", diag->detail);
    put("hint", diag->hint);
    (void)putchar('}');
}

static int print_rows(const struct settings_params *params, struct arena *arena)
{
    struct settings *settings = NULL;
    const struct diag *diag;
    struct diags diags;
    const char *comma = "";

    diags_init(&diags, arena);
    if (settings_load(params, &settings, &diags) != OK) {
        (void)fputs("{\"errors\": [", stdout);
        STAILQ_FOREACH (diag, &diags.list, next) {
            (void)fputs(comma, stdout);
            put_diag(diag);
            comma = ",\n";
        }
        (void)puts("]}");
        return 1;
    }
    (void)fputs("{\"rows\": [", stdout);
    for (size_t i = 0; i < settings->n_rows; i++) {
        (void)fputs(i ? ",\n" : "", stdout);
        put_row(&settings->rows[i]);
    }
    (void)puts("]}");
    settings_unref(settings);
    return 0;
}

static int print_file_rows(const struct settings_params *params, struct arena *arena)
{
    const struct setting_file_row *rows;
    size_t n;

    if (settings_file_rows(params, arena, &rows, &n) != OK)
        return 3;
    (void)putchar('[');
    for (size_t i = 0; i < n; i++) {
        (void)printf("%s{\"sourceline\": %u, \"seqno\": %u, \"applied\": %s", i ? ",\n" : "",
                     rows[i].sourceline, rows[i].seqno, rows[i].applied ? "true" : "false");
        put("sourcefile", rows[i].sourcefile);
        put("name", rows[i].name);
        put("setting", rows[i].setting);
        put("error", rows[i].error);
        (void)putchar('}');
    }
    (void)puts("]");
    return 0;
}

int main(int argc, char **argv)
{
    struct str overrides[16];
    struct settings_params params = { .overrides = overrides };
    struct arena arena;

    if (argc < 3 || (size_t)argc - 3 > COUNT_OF(overrides))
        return 2;
    params.dir = str_c(argv[2]);
    for (int i = 3; i < argc; i++)
        overrides[params.n_overrides++] = str_c(argv[i]);
    arena_init(&arena, 64 << 20, 4096);
    int status = str_is(str_c(argv[1]), "file") ? print_file_rows(&params, &arena)
                                                : print_rows(&params, &arena);
    arena_fini(&arena);
    return status;
}
