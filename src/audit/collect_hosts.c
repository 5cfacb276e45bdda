#include "audit/collect_hosts.h"

#include "audit/collect_rules.h"
#include "audit/regular_file.h"
#include "base/arena.h"
#include "conf/hosts_file.h"
#include "conf/settings.h"
#include "lex/hba_lex.h"

enum { PG_WITH_HOSTS = 19 };

/* ---- lines ---- */

static const char *path_of(struct str text, struct str data_dir, struct arena *arena)
{
    struct str path = text;

    if (str_has_nul(text) || text.n == 0)
        return NULL;
    if (text.p[0] != '/' && !arena_printf(arena, &path, "%.*s/%.*s", STR_ARG(data_dir), STR_ARG(text)))
        return NULL;
    return arena_c(arena, path);
}

static enum code collect_hosts_take(const struct host_lines *lines, struct str data_dir, struct arena *arena,
                                    struct audit_subject *subject)
{
    struct subject_host *hosts = arena_array(arena, lines->n, sizeof *hosts);
    size_t n = 0;

    if (!hosts)
        return E_NOMEM;
    for (size_t i = 0; i < lines->n; i++) {
        const struct host_line *line = &lines->at[i];
        if (line->error.p) {
            if (!collect_broken(&subject->broken_settings, &subject->n_broken_settings, arena,
                                (struct subject_broken){ line->file, line->line, line->error }))
                return E_NOMEM;
            continue;
        }
        hosts[n++] = (struct subject_host){ .file = line->file,
                                            .line = line->line,
                                            .names = line->names,
                                            .n_names = line->n_names,
                                            .cert = path_of(line->cert, data_dir, arena),
                                            .key = path_of(line->key, data_dir, arena),
                                            .ca = path_of(line->ca, data_dir, arena) };
    }
    subject->hosts = hosts;
    subject->n_hosts = n;
    return OK;
}

/* ---- the file ---- */

static enum code read_hosts(struct str path, const struct hba_lex_fs *fs, struct arena *arena,
                            struct audit_subject *subject)
{
    const struct hba_lex_params params = { .fs = fs, .pg_version = subject->version };
    struct host_lines hosts;
    struct hba_lines lines;
    struct err e = { .code = OK };

    subject->hosts_file = path;
    enum code code = hosts_file_read(&params, path, arena, &lines, &hosts, &e);
    if (code == OK)
        return collect_hosts_take(&hosts, subject->dir, arena, subject);
    if (code == E_NO_FILE)
        return OK;
    struct subject_unseen unseen = { path, STR(""), ITEM_CERTIFICATE | ITEM_EXPIRY };
    return code != E_NOMEM && arena_printf(arena, &unseen.why, "%s", err_text(&e)) &&
                   collect_unseen(subject, arena, unseen)
               ? OK
               : E_NOMEM;
}

enum code collect_hosts(const char *config_dir, struct arena *arena, struct audit_subject *subject)
{
    const struct subject_setting *sni = subject_raw(subject, "ssl_sni"),
                                 *file = subject_raw(subject, "hosts_file");
    const struct hba_lex_fs fs = regular_file_hba_fs(NULL);
    struct str path = file ? file->value : STR("");
    bool on = false;

    if (!sni || subject->version < PG_WITH_HOSTS || !str_to_bool(sni->value, &on) || !on)
        return OK;
    if (path.n == 0 && !arena_printf(arena, &path, "%s/pg_hosts.conf", config_dir))
        return E_NOMEM;
    if (path.p[0] != '/' && !arena_printf(arena, &path, "%.*s/%.*s", STR_ARG(subject->dir), STR_ARG(path)))
        return E_NOMEM;
    return read_hosts(path, &fs, arena, subject);
}

enum code collect_hosts_gate(const struct settings *settings, const struct hba_lex_fs *fs,
                             struct arena *arena, struct audit_subject *subject)
{
    if (!settings->ssl || !settings->ssl_sni || !settings->hosts_file.path)
        return OK;
    return read_hosts(str_c(settings->hosts_file.path), fs, arena, subject);
}
