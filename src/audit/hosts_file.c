#include "audit/hosts_file.h"

#include "audit/collect_rules.h"
#include "audit/regular_file.h"
#include "base/arena.h"

enum { PG_WITH_HOSTS = 19, FIELDS_NEEDED = 3, FIELDS_MAX = 6, FIELD_CA = 3, FIELD_RELOAD = 5 };

/* ---- lines ---- */

static bool is_special_name(struct str name)
{
    return str_is(name, "*") || str_is(name, "/no_sni/");
}

/* Why the server refuses the line; NULL: it does not. */
static const char *fault_of(const struct hba_line *line)
{
    static const char *const several[FIELDS_MAX] = {
        NULL,
        "multiple values specified for SSL certificate",
        "multiple values specified for SSL key",
        "multiple values specified for SSL CA",
        "multiple values specified for SSL passphrase command",
        "incorrect syntax for boolean value SSL_passphrase_cmd_reload",
    };
    const struct hba_field *names = &line->fields[0];
    bool ignored;

    for (size_t i = 0; i < names->n && names->n > 1; i++)
        if (is_special_name(names->tokens[i].s))
            return "default and non-SNI entries cannot be mixed with other entries";
    if (line->n < FIELDS_NEEDED)
        return "missing entry at end of line";
    for (size_t i = 1; i < line->n && i < FIELDS_MAX; i++)
        if (line->fields[i].n > 1)
            return several[i];
    if (line->n > FIELDS_MAX)
        return "extra fields at end of line";
    if (line->n > FIELD_RELOAD && !str_to_bool(line->fields[FIELD_RELOAD].tokens[0].s, &ignored))
        return several[FIELD_RELOAD];
    return NULL;
}

static const char *path_of(struct str text, struct str data_dir, struct arena *arena)
{
    struct str path = text;

    if (str_has_nul(text) || text.n == 0)
        return NULL;
    if (text.p[0] != '/' && !arena_printf(arena, &path, "%.*s/%.*s", STR_ARG(data_dir), STR_ARG(text)))
        return NULL;
    return arena_c(arena, path);
}

static bool take_line(const struct hba_line *line, struct str data_dir, struct arena *arena,
                      struct subject_host *out)
{
    const struct hba_field *names = &line->fields[0];
    struct str *kept = arena_array(arena, names->n, sizeof *kept);

    if (!kept)
        return false;
    for (size_t i = 0; i < names->n; i++)
        kept[i] = names->tokens[i].s;
    *out = (struct subject_host){ .file = line->file,
                                  .line = line->line,
                                  .names = kept,
                                  .n_names = names->n,
                                  .cert = path_of(line->fields[1].tokens[0].s, data_dir, arena),
                                  .key = path_of(line->fields[2].tokens[0].s, data_dir, arena) };
    if (line->n > FIELD_CA)
        out->ca = path_of(line->fields[FIELD_CA].tokens[0].s, data_dir, arena);
    return true;
}

enum code hosts_file_parse(const struct hba_lines *lines, struct str data_dir, struct arena *arena,
                           struct audit_subject *subject)
{
    struct subject_host *hosts = arena_array(arena, lines->n, sizeof *hosts);
    const struct hba_line *line;
    size_t n = 0;

    if (!hosts)
        return E_NOMEM;
    STAILQ_FOREACH (line, &lines->list, next) {
        const char *fault = line->error.n > 0 ? NULL : fault_of(line);
        struct str error = fault ? str_c(fault) : line->error;
        if (error.n > 0 && !collect_broken(&subject->broken_settings, &subject->n_broken_settings, arena,
                                           (struct subject_broken){ line->file, line->line, error }))
            return E_NOMEM;
        if (error.n == 0 && !take_line(line, data_dir, arena, &hosts[n++]))
            return E_NOMEM;
    }
    subject->hosts = hosts;
    subject->n_hosts = n;
    return OK;
}

/* ---- the file ---- */

enum code hosts_file_collect(const char *config_dir, struct arena *arena, struct audit_subject *subject)
{
    const struct subject_setting *sni = subject_raw(subject, "ssl_sni"),
                                 *file = subject_raw(subject, "hosts_file");
    const struct hba_lex_fs fs = regular_file_hba_fs(NULL);
    const struct hba_lex_params params = { .fs = &fs, .pg_version = subject->version };
    struct str path = file ? file->value : STR("");
    struct hba_lines lines;
    struct err e = { .code = OK };
    bool on = false;

    if (!sni || subject->version < PG_WITH_HOSTS || !str_to_bool(sni->value, &on) || !on)
        return OK;
    if (path.n == 0 && !arena_printf(arena, &path, "%s/pg_hosts.conf", config_dir))
        return E_NOMEM;
    if (path.p[0] != '/' && !arena_printf(arena, &path, "%.*s/%.*s", STR_ARG(subject->dir), STR_ARG(path)))
        return E_NOMEM;
    subject->hosts_file = path;
    enum code code = hba_lex_file(&params, path, arena, &lines, &e);
    if (code == OK)
        return hosts_file_parse(&lines, subject->dir, arena, subject);
    if (code == E_NO_FILE)
        return OK;
    struct subject_unseen unseen = { path, STR(""), ITEM_CERTIFICATE | ITEM_EXPIRY };
    return code != E_NOMEM && arena_printf(arena, &unseen.why, "%s", err_text(&e)) &&
                   collect_unseen(subject, arena, unseen)
               ? OK
               : E_NOMEM;
}
