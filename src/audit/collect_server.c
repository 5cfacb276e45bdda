/* The files of a PostgreSQL server, and what of them is not to be seen. */
#include "audit/collect_server.h"

#include "audit/collect_hosts.h"
#include "audit/collect_rules.h"
#include "audit/collect_standby.h"
#include "audit/regular_file.h"
#include "audit/server_program.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/files.h"
#include "conf/pgserver.h"
#include "conf/settings.h"
#include "os/files.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/rows.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIPS_FILE_MAX = 64, ALL_ITEMS = 0x7e, VERSION_KNOWN = 19 };

struct server {
    struct arena *arena;
    struct audit_subject *subject;
    const struct regular_file_drafts *drafts;
    struct pgserver pg;
    const char *config_dir; /* where hba_file is if nothing is said */
    struct subject_setting *raw;
    size_t n_raw;
};

/* ---- paths ---- */

static char *joined(struct arena *arena, const char *dir, const char *name)
{
    struct str out;

    return arena_printf(arena, &out, "%s/%s", dir, name) ? arena_c(arena, out) : NULL;
}

bool collect_is_server(const char *path)
{
    return pgserver_is(path);
}

static bool missed(struct server *s, struct str what, struct str why, unsigned items)
{
    return collect_unseen(s->subject, s->arena, (struct subject_unseen){ what, why, items });
}

/* What is not to be read, in the system's words. */
static bool missed_file(struct server *s, const char *path, const char *why, unsigned items)
{
    struct str text;

    return arena_str(s->arena, str_c(why), &text) && missed(s, str_c(path), text, items);
}

/* ---- settings files ---- */

/* Lines that a server refuses are part of what is found; a file that is not to be read, too. */
static enum code keep_errors(struct server *s, const struct pgserver_file *file)
{
    const struct diag *d;

    STAILQ_FOREACH (d, &file->diags.list, next) {
        if (d->severity != SEV_ERROR)
            continue;
        bool kept = d->code == E_ACCESS
                        ? missed(s, str_c(file->path), d->message, ALL_ITEMS)
                        : collect_broken(&s->subject->broken_settings, &s->subject->n_broken_settings,
                                         s->arena, (struct subject_broken){ d->file, d->line, d->message });
        if (!kept)
            return E_NOMEM;
    }
    return OK;
}

static enum code note_config(struct server *s)
{
    struct str why = STR("it is not in the data directory, and no cluster of " PGSERVER_DEBIAN
                         " has this data_directory");

    if (s->pg.config.path)
        return keep_errors(s, &s->pg.config);
    return missed(s, STR("postgresql.conf"), why, ALL_ITEMS) ? OK : E_NOMEM;
}

static enum code note_opts(struct server *s)
{
    const char *path;

    if (s->pg.opts_error.code == OK)
        return OK;
    path = joined(s->arena, s->pg.data_dir, "postmaster.opts");
    return path && missed_file(s, path, err_text(&s->pg.opts_error), ALL_ITEMS) ? OK : E_NOMEM;
}

static enum code note_data(struct server *s)
{
    const char *named = s->pg.named_dir;
    struct str version = STR("it does not contain a version of PostgreSQL");

    if (s->pg.data_dir)
        return s->pg.version || missed(s, STR("PG_VERSION"), version, ITEM_TLS | ITEM_RULES) ? OK : E_NOMEM;
    bool refused = named && os_is_directory(named) && access(named, R_OK | X_OK) != 0;
    const char *why = refused ? "the data directory cannot be read: Permission denied"
                      : named ? "there is no data directory there"
                              : "no file names the data directory";
    return missed_file(s, named ? named : "data_directory", why, ITEM_TLS | ITEM_CERTIFICATE | ITEM_RULES)
               ? OK
               : E_NOMEM;
}

/* ---- what is in force ---- */

static void add_raw(struct server *s, const struct conf_entries *entries, enum subject_source source)
{
    const struct conf_entry *entry;

    STAILQ_FOREACH (entry, &entries->list, next) {
        if (!entry->name.p || entry->error.p)
            continue;
        s->raw[s->n_raw++] = (struct subject_setting){ .name = entry->name,
                                                       .value = entry->value,
                                                       .file = entry->file,
                                                       .line = entry->line,
                                                       .source = source };
    }
}

static enum code list_files(struct server *s)
{
    const struct conf_entries *main = &s->pg.config.entries, *more = &s->pg.automatic.entries;
    const struct conf_path *path;
    size_t n = 0;

    STAILQ_FOREACH (path, &main->files, next)
        n++;
    STAILQ_FOREACH (path, &more->files, next)
        n++;
    struct str *files = arena_array(s->arena, n, sizeof *files);
    if (!files)
        return E_NOMEM;
    s->subject->files = files;
    STAILQ_FOREACH (path, &main->files, next)
        files[s->subject->n_files++] = path->path;
    STAILQ_FOREACH (path, &more->files, next)
        files[s->subject->n_files++] = path->path;
    return OK;
}

static enum code gather(struct server *s, struct settings **out)
{
    const struct conf_entries *main = &s->pg.config.entries, *automatic = &s->pg.automatic.entries;

    TRY(keep_errors(s, &s->pg.automatic));
    s->raw = arena_array(s->arena, main->n + automatic->n + s->pg.opts.n, sizeof *s->raw);
    if (!s->raw)
        return E_NOMEM;
    add_raw(s, main, SUBJECT_FROM_FILE);
    add_raw(s, automatic, SUBJECT_FROM_AUTO_FILE);
    for (size_t i = 0; i < s->pg.opts.n; i++)
        s->raw[s->n_raw++] = (struct subject_setting){ .name = s->pg.opts.items[i].name,
                                                       .value = s->pg.opts.items[i].value,
                                                       .source = SUBJECT_FROM_COMMAND_LINE };
    TRY(list_files(s));
    TRY(server_settings_rank(s->raw, s->n_raw, s->arena));
    TRY(server_settings_make(s->raw, s->n_raw, s->subject, s->arena, out));
    s->subject->settings_seen = s->pg.config.path && !subject_is_unseen(s->subject, s->pg.config.path);
    return OK;
}

/* ---- files that the settings name ---- */

/* A file that is there and may not be read, or a directory on the way to it that may not be entered. */
static enum code look_for(struct server *s, const char *path, unsigned items)
{
    bool elsewhere = !s->pg.data_dir && path && access(path, F_OK) != 0 && errno == ENOENT;

    if (!path || subject_is_unseen(s->subject, path))
        return OK;
    if (elsewhere) /* only a copy of the settings is here */
        return missed_file(s, path, "it is not on this machine", items) ? OK : E_NOMEM;
    if (regular_file_is_special(path))
        return missed_file(s, path, "it is not a regular file", items) ? OK : E_NOMEM;
    if (access(path, R_OK) == 0 || errno != EACCES)
        return OK;
    return missed_file(s, path, "Permission denied", items) ? OK : E_NOMEM;
}

/* Without what is no judgement to be had where it is not read. */
static unsigned items_of(const struct settings_file_use *use)
{
    if (!use->kind)
        return ITEM_TLS;
    return use->named ? ITEM_EXPIRY : ITEM_CERTIFICATE | ITEM_EXPIRY;
}

static enum code look_for_files(struct server *s)
{
    const struct settings *settings = s->subject->settings;
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_use(settings, i, &use, &path); i++)
        if (use.reader == FILE_READER_TLS && settings_reads(settings, use.reader))
            TRY(look_for(s, path, items_of(&use)));
    return OK;
}

/* hba_file or ident_file; NULL: out of memory. */
static const char *rules_path(struct server *s, const char *written, const char *name)
{
    return written ? written : joined(s->arena, s->config_dir, name);
}

/* A bad map keeps no server from starting: it has none then. */
static enum code read_maps(struct server *s, const struct policy_params *params)
{
    struct ident_rows rows;
    struct err e = { .code = OK };
    struct str text;

    enum code code = policy_ident_rows(params, s->arena, &rows, NULL, &e);
    if (code != OK && (code == E_NOMEM || !arena_str(s->arena, str_c(err_text(&e)), &text)))
        return E_NOMEM;
    if (code != OK)
        return collect_broken(&s->subject->broken_rules, &s->subject->n_broken_rules, s->arena,
                              (struct subject_broken){ params->ident_file, 0, text })
                   ? OK
                   : E_NOMEM;
    for (size_t i = 0; i < rows.n; i++)
        if (rows.rows[i].error.p &&
            !collect_broken(&s->subject->broken_rules, &s->subject->n_broken_rules, s->arena,
                            (struct subject_broken){ rows.rows[i].file_name, rows.rows[i].line_number,
                                                     rows.rows[i].error }))
            return E_NOMEM;
    return OK;
}

static enum code read_rules(struct server *s, struct policy **out)
{
    const struct settings *settings = s->subject->settings;
    const struct hba_lex_fs fs = regular_file_hba_fs(s->drafts);
    const char *hba = rules_path(s, settings->hba_file.path, "pg_hba.conf");
    const char *ident = rules_path(s, settings->ident_file.path, "pg_ident.conf");

    if (!hba || !ident)
        return E_NOMEM;
    if (access(hba, R_OK) != 0) {
        int error = errno;
        bool here = s->pg.data_dir && error == ENOENT; /* then the server cannot start */
        if (!here)
            return missed_file(s, hba, strerror(error), ITEM_RULES) ? OK : E_NOMEM;
    }
    if (access(ident, R_OK) != 0 && errno == EACCES && !missed_file(s, ident, strerror(EACCES), ITEM_RULES))
        return E_NOMEM;
    const struct policy_params params = { .hba_file = str_c(hba),
                                          .ident_file = str_c(ident),
                                          .fs = &fs,
                                          .pg_version = s->subject->version,
                                          .ssl_on = settings->ssl,
                                          .features = { .roles_known = true, .oauth_unchecked = true } };
    if (!subject_is_unseen(s->subject, ident) && access(ident, F_OK) == 0)
        TRY(read_maps(s, &params));
    return collect_rules(&params, s->subject, s->arena, out);
}

/* ---- all of it ---- */

static enum subject_fips read_fips(void)
{
    AUTO(buf) struct buf text = BUF_INIT(FIPS_FILE_MAX);
    struct err e;
    enum code code = regular_file_read("/proc/sys/crypto/fips_enabled", &text, &e);

    if (code != OK)
        return code == E_NO_FILE ? FIPS_OFF : FIPS_UNSEEN;
    return text.n > 0 && text.p[0] == '1' ? FIPS_ON : FIPS_OFF;
}

/* What a version makes of its files that nobody here has seen is not passed. */
static enum code note_version(struct server *s)
{
    struct str what;

    if (s->pg.version <= VERSION_KNOWN)
        return OK;
    return arena_printf(s->arena, &what, "PostgreSQL %u", s->pg.version) &&
                   missed(s, what, STR("it is newer than what is known here, and was read as version 19"),
                          ITEM_TLS | ITEM_RULES)
               ? OK
               : E_NOMEM;
}

static enum code choose(struct server *s, const char *path)
{
    const struct conf_fs fs = regular_file_conf_fs(s->drafts);
    struct stat st;

    TRY(pgserver_read(&fs, path, s->arena, &s->pg));
    s->subject->version = s->pg.version;
    TRY(note_opts(s));
    TRY(note_config(s));
    TRY(note_data(s));
    TRY(note_version(s));
    if (s->pg.data_dir && stat(s->pg.data_dir, &st) == 0) {
        s->subject->owner_seen = true;
        s->subject->owner = st.st_uid;
        s->subject->dir_mode = st.st_mode & 07777;
    }
    if (s->pg.data_dir)
        s->subject->fips = read_fips();
    const char *started = s->pg.opts.data_directory.n > 0 ? arena_c(s->arena, s->pg.opts.data_directory)
                                                          : NULL;
    const char *beside = s->pg.config_dir;
    s->config_dir = started && os_has(started, "pg_hba.conf")                 ? started
                    : s->pg.data_dir && os_has(s->pg.data_dir, "pg_hba.conf") ? s->pg.data_dir
                                                                              : beside;
    s->subject->dir = str_c(s->pg.data_dir ? s->pg.data_dir : s->config_dir);
    return OK;
}

enum code collect_server(const struct collect_source *source, struct arena *arena, struct collected *out,
                         struct err *e)
{
    const char *path = source->path;
    struct collected c = {
        .subject = { .kind = SUBJECT_SERVER, .name = str_c(path), .now_unix_s = source->now_unix_s }
    };
    struct server s = { .arena = arena, .subject = &c.subject, .drafts = source->drafts };

    c.subject.ifaces = &iface_system;
    enum code code = choose(&s, path);
    if (code == OK)
        code = gather(&s, &c.settings);
    if (code == OK)
        code = collect_hosts(s.config_dir, arena, &c.subject);
    if (code == OK)
        code = collect_standby(&c, arena);
    if (code == OK && s.pg.data_dir)
        code = server_program_look(s.pg.opts.program, arena, &c.subject);
    if (code == OK)
        code = look_for_files(&s);
    if (code == OK)
        code = read_rules(&s, &c.policy);
    if (code == OK) {
        *out = c;
        return OK;
    }
    collected_fini(&c);
    return err_set(e, code, "the files of \"%s\" cannot be audited", path);
}
