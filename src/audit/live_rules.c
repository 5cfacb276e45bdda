/*
 * pg_hba_file_rules and pg_ident_file_mappings, put back into files.
 *
 * The views show the lines of all files in the order in which they are read, with the file's name since
 * version 16. Here each run of lines of one file becomes a text with the lines in their places, and a file that
 * includes the runs one after the other is given to the parser of rules, which asks for them in this order. So
 * every rule has its file and line.
 */
#include "audit/live_rules.h"

#include "audit/live_audit.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "lex/hba_lex.h"
#include "policy/match.h"
#include "policy/policy.h"

#include <errno.h>

enum {
    FILES_BYTES_MAX = 64 * 1024 * 1024,
    LINE_MAX_NUMBER = 10 * 1000 * 1000,
    FILES_SINCE = 16,
    MAPS_SINCE = 15
};

/* A token of a file. What the view shows has lost its quotes; a keyword in quotes is taken for a keyword. */
#define TOKEN(x)                                                                                             \
    "CASE WHEN " x " ~ '[\\s,#\"]' OR " x " = '' THEN '\"' || replace(" x ", '\"', '\"\"') || '\"' ELSE " x  \
    " END"
#define TOKENS(list, separator)                                                                              \
    "(SELECT string_agg(" TOKEN("u.x") ", '" separator "' ORDER BY u.n) FROM unnest(" list                   \
                                       ") WITH ORDINALITY u(x, n))"
#define OPTIONS                                                                                              \
    "ARRAY(SELECT regexp_replace(o.x, '^(ldapbindpasswd|radiussecrets)=.*$', '\\1=hidden') FROM"             \
    " unnest(options) WITH ORDINALITY o(x, n) ORDER BY o.n)"
#define RULE                                                                                                 \
    "translate(concat_ws(' ', type, " TOKENS("database", ",") ", " TOKENS(                                   \
        "user_name", ",") ", address,"                                                                       \
                          " netmask, auth_method, " TOKENS(OPTIONS, " ") "), E'\\r\\n', '  ') || ' '"
#define MAP                                                                                                  \
    "translate(concat_ws(' ', " TOKEN("map_name") ", " TOKEN("sys_name") ", " TOKEN(                         \
        "pg_username") "),"                                                                                  \
                       " E'\\r\\n', '  ') || ' '"

static const struct live_statement rules_statement = {
    "the rules",
    "SELECT NULL, line_number, " RULE ", error FROM pg_catalog.pg_hba_file_rules",
    "a superuser, or one who was granted pg_hba_file_rules and its function",
    ITEM_RULES,
};
static const struct live_statement rules_of_files_statement = {
    "the rules",
    "SELECT file_name, line_number, " RULE ", error FROM pg_catalog.pg_hba_file_rules",
    "a superuser, or one who was granted pg_hba_file_rules and its function",
    ITEM_RULES,
};
static const struct live_statement maps_statement = {
    "the user name maps",
    "SELECT NULL, line_number, " MAP ", error FROM pg_catalog.pg_ident_file_mappings",
    "a superuser, or one who was granted pg_ident_file_mappings and its function",
    0,
};
static const struct live_statement maps_of_files_statement = {
    "the user name maps",
    "SELECT file_name, line_number, " MAP ", error FROM pg_catalog.pg_ident_file_mappings",
    "a superuser, or one who was granted pg_ident_file_mappings and its function",
    0,
};

/* A run of lines of one file. */
struct segment {
    struct str path, text;
    bool given;
};

struct files {
    struct segment *items;
    size_t n;
};

/* ---- texts ---- */

static bool begins_segment(const struct live_rows *rows, size_t row)
{
    return row == 0 || !str_equal(live_cell(rows, row, 0), live_cell(rows, row - 1, 0)) ||
           live_number(rows, row, 1) <= live_number(rows, row - 1, 1);
}

static bool append_row(struct buf *text, unsigned *line, unsigned number, struct str rule)
{
    if (number == 0 || number > LINE_MAX_NUMBER)
        return false;
    for (; *line < number; (*line)++)
        buf_append_byte(text, '\n');
    return buf_append_str(text, rule);
}

static enum code add_segments(struct live_audit *audit, const struct live_rows *rows, struct str path,
                              struct files *files)
{
    struct segment *items = arena_array(audit->arena, files->n + rows->n, sizeof *items);

    if (!items)
        return err_set(audit->e, E_NOMEM, "out of memory");
    if (files->n > 0)
        memcpy(items, files->items, files->n * sizeof *items);
    files->items = items;
    for (size_t row = 0; row < rows->n;) {
        AUTO(buf) struct buf text = BUF_INIT(FILES_BYTES_MAX);
        struct segment *segment = &items[files->n++];
        unsigned line = 1;
        segment->path = live_cell(rows, row, 0).n > 0 ? live_cell(rows, row, 0) : path;
        bool ok = true;
        do
            ok = ok && append_row(&text, &line, live_number(rows, row, 1), live_cell(rows, row, 2));
        while (++row < rows->n && !begins_segment(rows, row));
        buf_append_byte(&text, '\n');
        if (!ok || !buf_ok(&text))
            return err_set(audit->e, E_LIMIT, "the server's rule files are too long");
        if (!arena_str(audit->arena, buf_str(&text), &segment->text))
            return err_set(audit->e, E_NOMEM, "out of memory");
    }
    return OK;
}

/* One file for the parser: the only one, or one of a name of its own that includes all others. */
static enum code add_top(struct live_audit *audit, struct files *files, size_t first, struct str path,
                         struct str *out_path)
{
    AUTO(buf) struct buf text = BUF_INIT(FILES_BYTES_MAX);
    struct segment *items;

    *out_path = path;
    if (files->n - first == 1) {
        *out_path = files->items[first].path;
        return OK;
    }
    for (size_t i = first; i < files->n; i++)
        buf_printf(&text, "include \"%.*s\"\n", STR_ARG(files->items[i].path));
    items = arena_array(audit->arena, files->n + 1, sizeof *items);
    if (!items || !buf_ok(&text))
        return err_set(audit->e, E_NOMEM, "out of memory");
    if (files->n > 0)
        memcpy(items, files->items, files->n * sizeof *items);
    if (!arena_str(audit->arena, buf_str(&text), &items[files->n].text))
        return err_set(audit->e, E_NOMEM, "out of memory");
    items[files->n++].path = path;
    files->items = items;
    return OK;
}

/* ---- as a disk ---- */

static int give_segment(void *ctx, const char *path, struct buf *out)
{
    struct files *files = ctx;

    for (size_t i = 0; i < files->n; i++) {
        if (files->items[i].given || !str_is(files->items[i].path, path))
            continue;
        files->items[i].given = true;
        return buf_append_str(out, files->items[i].text) ? 0 : ENOMEM;
    }
    return ENOENT;
}

static int list_nothing(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    (void)path;
    (void)entry;
    (void)arg;
    return ENOENT;
}

static int no_directory(void *ctx, const char *path)
{
    (void)ctx;
    (void)path;
    return 0;
}

/* The server has looked its RADIUS servers up; here their names prove nothing. */
static int any_server(const char *name)
{
    (void)name;
    return 0;
}

/* ---- rules ---- */

static enum code take_broken(struct live_audit *audit, const struct live_rows *rows, struct str path,
                             size_t *out_n)
{
    struct audit_subject *subject = &audit->collected->subject;

    *out_n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        struct str file = live_cell(rows, i, 0).n > 0 ? live_cell(rows, i, 0) : path;
        if (live_cell(rows, i, 3).n == 0)
            continue;
        (*out_n)++;
        if (!collect_broken(&subject->broken_rules, &subject->n_broken_rules, audit->arena,
                            (struct subject_broken){ file, live_number(rows, i, 1), live_cell(rows, i, 3) }))
            return err_set(audit->e, E_NOMEM, "out of memory");
    }
    return OK;
}

static struct str path_of(const struct audit_subject *subject, const char *setting, struct str otherwise)
{
    const struct subject_setting *raw = subject_raw(subject, setting);

    return raw && raw->value.n > 0 && raw->value.p[0] == '/' ? raw->value : otherwise;
}

static bool list_no_ifaces(void *ctx, bool (*each)(void *arg, const struct iface *iface), void *arg)
{
    (void)ctx;
    (void)each;
    (void)arg;
    return false;
}

static const struct iface_source no_ifaces = { list_no_ifaces, NULL };

static enum code live_rules_load(struct live_audit *audit, const struct policy_params *params)
{
    struct audit_subject *subject = &audit->collected->subject;

    if (collect_rules(params, subject, audit->arena, &audit->collected->policy) != OK)
        return err_set(audit->e, E_NOMEM, "out of memory");
    subject->ifaces = &no_ifaces;
    for (size_t i = 0; subject->policy && i < policy_rule_count(subject->policy); i++) {
        enum hba_addr_kind kind = policy_rule(subject->policy, i)->address.kind;
        if (kind == HBA_ADDR_SAMEHOST || kind == HBA_ADDR_SAMENET)
            return live_audit_unseen(audit, "the addresses of samehost and samenet",
                                     STR("PostgreSQL does not show its machine's interfaces"), ITEM_RULES);
    }
    return OK;
}

static enum code see_maps(struct live_audit *audit, struct files *files, struct str *out_path)
{
    bool with_files = live_version(audit->live) >= FILES_SINCE;
    struct str path = path_of(&audit->collected->subject, "ident_file", STR("/pg_ident_file_mappings"));
    struct live_rows rows = { .n = 0 };
    size_t first = files->n, broken;
    bool seen;

    *out_path = STR("");
    if (live_version(audit->live) < MAPS_SINCE)
        return live_audit_unseen(audit, "the user name maps", STR("PostgreSQL shows them since version 15"),
                                 0);
    TRY(live_audit_query(audit, with_files ? &maps_of_files_statement : &maps_statement, &rows, &seen));
    if (!seen)
        return OK;
    TRY(take_broken(audit, &rows, path, &broken));
    if (broken > 0)
        return OK;
    TRY(add_segments(audit, &rows, path, files));
    return add_top(audit, files, first, STR("/pg_ident_file_mappings"), out_path);
}

enum code live_rules(struct live_audit *audit)
{
    bool with_files = live_version(audit->live) >= FILES_SINCE;
    struct audit_subject *subject = &audit->collected->subject;
    struct str path = path_of(subject, "hba_file", STR("/pg_hba_file_rules"));
    struct files files = { .n = 0 };
    struct live_rows rows = { .n = 0 };
    struct str ident;
    size_t broken;
    bool seen;

    TRY(see_maps(audit, &files, &ident));
    struct live_statement statement = with_files ? rules_of_files_statement : rules_statement;
    if (audit->seen->requires_tls == LIVE_YES)
        statement.items = 0; /* the service's parameter stands for them */
    TRY(live_audit_query(audit, &statement, &rows, &seen));
    if (!seen)
        return OK;
    TRY(take_broken(audit, &rows, path, &broken));
    if (broken > 0)
        return OK; /* the rules in force are those of an earlier load, which nobody shows */
    size_t first = files.n;
    TRY(add_segments(audit, &rows, path, &files));
    TRY(add_top(audit, &files, first, STR("/pg_hba_file_rules"), &path));
    const struct hba_lex_fs fs = { give_segment, list_nothing, no_directory, &files };
    const struct policy_params params = { .hba_file = path,
                                          .ident_file = ident,
                                          .pg_version = subject->version,
                                          .ssl_on = subject->settings->ssl,
                                          .features = { .roles_known = true, .oauth_unchecked = true },
                                          .fs = &fs,
                                          .resolve_server = any_server };
    return live_rules_load(audit, &params);
}
