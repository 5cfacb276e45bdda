/*
 * The files of a PostgreSQL server.
 *
 * Debian keeps the configuration of the cluster V/C in /etc/postgresql/V/C and its data elsewhere, as
 * data_directory says; the command line in postmaster.opts names the other half. What is written counts in this
 * order, the last one winning: postgresql.conf with its includes, postgresql.auto.conf, the command line.
 * [src: PostgreSQL 18, "Setting Parameters", "File Locations"; guc.c SelectConfigFiles()]
 */
#include "audit/collect_server.h"

#include "audit/careful.h"
#include "audit/collect_rules.h"
#include "audit/server_program.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "lex/postmaster_opts.h"
#include "os/files.h"
#include "policy/match.h"
#include "policy/policy.h"
#include "policy/rows.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEBIAN_DIR "/etc/postgresql"
enum { VERSION_FILE_MAX = 64, VERSION_MIN = 8, VERSION_MAX = 99, OPTS_FILE_MAX = 1 << 16, ALL_ITEMS = 0x7e };

struct server {
    struct arena *arena;
    struct audit_subject *subject;
    const char *data_dir;    /* NULL: not found */
    const char *config_file; /* NULL: not found */
    const char *config_dir;  /* where hba_file is if nothing is said */
    struct postmaster_opts opts;
    struct conf_entries entries; /* of all files, in order */
    struct subject_setting *raw;
    size_t n_raw;
};

/* ---- paths ---- */

static char *joined(struct arena *arena, const char *dir, const char *name)
{
    struct str out;

    return arena_printf(arena, &out, "%s/%s", dir, name) ? arena_c(arena, out) : NULL;
}

static bool has_file(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];

    return os_path(dir, name, path, NULL) == OK && os_exists(path);
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static char *parent_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    return arena_c(arena, str_of(path, slash && slash > path ? (size_t)(slash - path) : 1));
}

bool collect_is_server(const char *path)
{
    return has_file(path, "PG_VERSION") || has_file(path, "postgresql.conf");
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
static enum code read_settings_file(struct server *s, const char *path, struct conf_entries *entries)
{
    const struct conf_fs fs = careful_conf_fs();
    const struct diag *d;
    struct diags diags;

    diags_init(&diags, s->arena);
    enum code code = conf_lex_file(&fs, str_c(path), entries, &diags);
    if (code == E_NOMEM || diags.nomem)
        return E_NOMEM;
    STAILQ_FOREACH (d, &diags.list, next) {
        if (d->severity != SEV_ERROR)
            continue;
        bool kept = d->code == E_ACCESS
                        ? missed(s, str_c(path), d->message, ALL_ITEMS)
                        : collect_broken(&s->subject->broken_settings, &s->subject->n_broken_settings,
                                         s->arena, (struct subject_broken){ d->file, d->line, d->message });
        if (!kept)
            return E_NOMEM;
    }
    return OK;
}

/* The value that data_directory has in a file; NULL: none. */
static char *data_directory_of(struct arena *arena, const struct conf_entries *entries)
{
    const struct conf_entry *entry, *last = NULL;

    STAILQ_FOREACH (entry, &entries->list, next)
        if (entry->name.p && !entry->error.p && str_equal_nocase(entry->name, STR("data_directory")))
            last = entry;
    return last && last->value.n > 0 && !str_has_nul(last->value) ? arena_c(arena, last->value) : NULL;
}

/* ---- the two halves ---- */

static unsigned read_version(const char *data_dir)
{
    AUTO(buf) struct buf text = BUF_INIT(VERSION_FILE_MAX);
    char path[OS_PATH_MAX];
    uint32_t version;

    if (os_path(data_dir, "PG_VERSION", path, NULL) != OK || careful_read(path, &text, NULL) != OK)
        return 0;
    struct str line = buf_str(&text);
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    line = str_first(line, str_find(line, '.')); /* before version 10: 9.6 */
    return str_to_u32(line, VERSION_MIN, VERSION_MAX, &version) ? version : 0;
}

/* /etc/postgresql/15/main: the version stands in the path, too. */
static unsigned version_of_path(const char *dir)
{
    struct str rest = str_c(dir);
    uint32_t version;

    if (!str_starts(rest, STR(DEBIAN_DIR "/")))
        return 0;
    rest = str_from(rest, sizeof DEBIAN_DIR);
    return str_to_u32(str_first(rest, str_find(rest, '/')), VERSION_MIN, VERSION_MAX, &version) ? version : 0;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Is this the configuration of our data directory? */
static bool is_ours(struct server *s, const char *config_file)
{
    AUTO(arena) struct arena scratch = { .blocks = NULL };
    const struct conf_fs fs = careful_conf_fs();
    struct conf_entries entries;
    struct diags diags;

    arena_init(&scratch, 64 << 20, 4096);
    diags_init(&diags, &scratch);
    conf_entries_init(&entries, &scratch);
    enum code code = conf_lex_file(&fs, str_c(config_file), &entries, &diags);
    if (code != OK && code != E_CONFIG)
        return false;
    const char *data_dir = data_directory_of(&scratch, &entries);
    return data_dir && same_directory(data_dir, s->data_dir);
}

/* The cluster below /etc/postgresql/VERSION whose data_directory is ours; NULL: none. */
static char *debian_config(struct server *s)
{
    char versions[sizeof DEBIAN_DIR + 16];
    char *found = NULL;
    struct dirent *entry;

    if (s->subject->version == 0)
        return NULL;
    (void)snprintf(versions, sizeof versions, DEBIAN_DIR "/%u", s->subject->version);
    DIR *dir = opendir(versions);
    while (dir && !found && (entry = readdir(dir))) {
        struct str path;
        if (entry->d_name[0] == '.' ||
            !arena_printf(s->arena, &path, "%s/%s/postgresql.conf", versions, entry->d_name))
            continue;
        char *file = arena_c(s->arena, path);
        if (file && os_exists(file) && is_ours(s, file))
            found = file;
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

/* The value of an option of postmaster.opts, as a path; NULL: not given. */
static char *opts_path(struct server *s, const char *name)
{
    for (size_t i = s->opts.n; i > 0; i--)
        if (str_is(s->opts.items[i - 1].name, name) && !str_has_nul(s->opts.items[i - 1].value))
            return arena_c(s->arena, s->opts.items[i - 1].value);
    return NULL;
}

static enum code read_opts(struct server *s)
{
    AUTO(buf) struct buf text = BUF_INIT(OPTS_FILE_MAX);
    char *path = joined(s->arena, s->data_dir, "postmaster.opts");
    struct err e = { .code = OK };
    struct str copy;

    if (!path)
        return E_NOMEM;
    enum code code = careful_read(path, &text, &e);
    if (code == OK && !arena_str(s->arena, buf_str(&text), &copy))
        return E_NOMEM;
    if (code == OK)
        code = postmaster_opts_parse(copy, s->arena, &s->opts, &e);
    if (code == OK || code == E_NO_FILE) /* it was never started, or runs elsewhere */
        return OK;
    return code != E_NOMEM && missed_file(s, path, err_text(&e), ALL_ITEMS) ? OK : E_NOMEM;
}

/* From the data directory to postgresql.conf. */
static enum code find_config(struct server *s)
{
    s->subject->version = read_version(s->data_dir);
    TRY(read_opts(s));
    char *named = opts_path(s, "config_file");
    if (named && os_exists(named))
        s->config_file = named;
    else if (has_file(s->data_dir, "postgresql.conf"))
        s->config_file = joined(s->arena, s->data_dir, "postgresql.conf");
    else
        s->config_file = debian_config(s);
    if (s->config_file)
        return OK;
    struct str why = STR("it is not in the data directory, and no cluster of " DEBIAN_DIR
                         " has this data_directory");
    return missed(s, STR("postgresql.conf"), why, ALL_ITEMS) ? OK : E_NOMEM;
}

/* From postgresql.conf, which has been read, to the data directory. */
static enum code find_data(struct server *s)
{
    char *named = data_directory_of(s->arena, &s->entries);
    const char *dir = named ? named : parent_of(s->arena, s->config_file);

    s->subject->version = version_of_path(s->config_file);
    if (!dir)
        return E_NOMEM;
    if (has_file(dir, "PG_VERSION")) {
        s->data_dir = dir;
        unsigned version = read_version(dir);
        if (version)
            s->subject->version = version;
        return read_opts(s);
    }
    bool refused = named && is_directory(named) && access(named, R_OK | X_OK) != 0;
    const char *why = refused ? "the data directory is not to be read: Permission denied"
                      : named ? "there is no data directory there"
                              : "nothing says where the data directory is";
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

static enum code list_files(struct server *s, const struct conf_entries *more)
{
    const struct conf_path *path;
    size_t n = 0;

    STAILQ_FOREACH (path, &s->entries.files, next)
        n++;
    STAILQ_FOREACH (path, &more->files, next)
        n++;
    struct str *files = arena_array(s->arena, n, sizeof *files);
    if (!files)
        return E_NOMEM;
    s->subject->files = files;
    STAILQ_FOREACH (path, &s->entries.files, next)
        files[s->subject->n_files++] = path->path;
    STAILQ_FOREACH (path, &more->files, next)
        files[s->subject->n_files++] = path->path;
    return OK;
}

static enum code gather(struct server *s, struct settings **out)
{
    struct conf_entries automatic;
    char *path = s->data_dir ? joined(s->arena, s->data_dir, "postgresql.auto.conf") : NULL;

    conf_entries_init(&automatic, s->arena);
    if (s->data_dir && !path)
        return E_NOMEM;
    if (path && os_exists(path))
        TRY(read_settings_file(s, path, &automatic));
    s->raw = arena_array(s->arena, s->entries.n + automatic.n + s->opts.n, sizeof *s->raw);
    if (!s->raw)
        return E_NOMEM;
    add_raw(s, &s->entries, SUBJECT_FROM_FILE);
    add_raw(s, &automatic, SUBJECT_FROM_AUTO_FILE);
    for (size_t i = 0; i < s->opts.n; i++)
        s->raw[s->n_raw++] = (struct subject_setting){ .name = s->opts.items[i].name,
                                                       .value = s->opts.items[i].value,
                                                       .source = SUBJECT_FROM_COMMAND_LINE };
    TRY(list_files(s, &automatic));
    TRY(server_settings_rank(s->raw, s->n_raw, s->arena));
    TRY(server_settings_make(s->raw, s->n_raw, s->subject, s->arena, out));
    s->subject->settings_seen = s->config_file && !subject_is_unseen(s->subject, s->config_file);
    return OK;
}

/* ---- files that the settings name ---- */

/* A file that is there and may not be read, or a directory on the way to it that may not be entered. */
static enum code look_for(struct server *s, const char *path, unsigned items)
{
    bool elsewhere = !s->data_dir && path && access(path, F_OK) != 0 && errno == ENOENT;

    if (!path || subject_is_unseen(s->subject, path))
        return OK;
    if (elsewhere) /* only a copy of the settings is here */
        return missed_file(s, path, "it is not on this machine", items) ? OK : E_NOMEM;
    if (careful_is_special(path))
        return missed_file(s, path, "it is not a regular file", items) ? OK : E_NOMEM;
    if (access(path, R_OK) == 0 || errno != EACCES)
        return OK;
    return missed_file(s, path, "Permission denied", items) ? OK : E_NOMEM;
}

static enum code look_for_files(struct server *s)
{
    const struct settings *settings = s->subject->settings;

    if (!settings->ssl)
        return OK;
    TRY(look_for(s, settings->ssl_cert_file.path, ITEM_CERTIFICATE | ITEM_EXPIRY));
    TRY(look_for(s, settings->ssl_ca_file.path, ITEM_EXPIRY));
    TRY(look_for(s, settings->ssl_crl_file.path, ITEM_EXPIRY));
    TRY(look_for(s, settings->ssl_dh_params_file.path, ITEM_TLS));
    return look_for(s, settings->ssl_key_file.path, ITEM_TLS);
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
    const char *hba = rules_path(s, settings->hba_file.path, "pg_hba.conf");
    const char *ident = rules_path(s, settings->ident_file.path, "pg_ident.conf");

    if (!hba || !ident)
        return E_NOMEM;
    if (access(hba, R_OK) != 0) {
        int error = errno;
        bool here = s->data_dir && error == ENOENT; /* then the server cannot start */
        if (!here)
            return missed_file(s, hba, strerror(error), ITEM_RULES) ? OK : E_NOMEM;
    }
    if (access(ident, R_OK) != 0 && errno == EACCES && !missed_file(s, ident, strerror(EACCES), ITEM_RULES))
        return E_NOMEM;
    const struct policy_params params = { .hba_file = str_c(hba),
                                          .ident_file = str_c(ident),
                                          .fs = &careful_hba_fs,
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
    AUTO(buf) struct buf text = BUF_INIT(VERSION_FILE_MAX);
    struct err e;
    enum code code = careful_read("/proc/sys/crypto/fips_enabled", &text, &e);

    if (code != OK)
        return code == E_NO_FILE ? FIPS_OFF : FIPS_UNSEEN;
    return text.n > 0 && text.p[0] == '1' ? FIPS_ON : FIPS_OFF;
}

static enum code choose(struct server *s, const char *path)
{
    struct stat st;

    conf_entries_init(&s->entries, s->arena);
    if (is_directory(path) && has_file(path, "PG_VERSION")) {
        s->data_dir = path;
        TRY(find_config(s));
    } else {
        s->config_file = is_directory(path) ? joined(s->arena, path, "postgresql.conf") : path;
    }
    if (s->config_file)
        TRY(read_settings_file(s, s->config_file, &s->entries));
    if (!s->data_dir)
        TRY(find_data(s));
    if (s->data_dir && s->subject->version == 0 &&
        !missed(s, STR("PG_VERSION"), STR("it names no version of PostgreSQL"), ITEM_TLS | ITEM_RULES))
        return E_NOMEM;
    if (s->data_dir && stat(s->data_dir, &st) == 0) {
        s->subject->owner_seen = true;
        s->subject->owner = st.st_uid;
        s->subject->dir_mode = st.st_mode & 07777;
    }
    if (s->data_dir)
        s->subject->fips = read_fips();
    const char *started = s->opts.data_directory.n > 0 ? arena_c(s->arena, s->opts.data_directory) : NULL;
    const char *beside = s->config_file ? parent_of(s->arena, s->config_file) : s->data_dir;
    if (!beside)
        return E_NOMEM;
    s->config_dir = started && has_file(started, "pg_hba.conf")           ? started
                    : s->data_dir && has_file(s->data_dir, "pg_hba.conf") ? s->data_dir
                                                                          : beside;
    s->subject->dir = str_c(s->data_dir ? s->data_dir : s->config_dir);
    return OK;
}

enum code collect_server(const char *path, int64_t now_unix_s, struct arena *arena, struct collected *out,
                         struct err *e)
{
    struct collected c = { .subject = {
                               .kind = SUBJECT_SERVER, .name = str_c(path), .now_unix_s = now_unix_s } };
    struct server s = { .arena = arena, .subject = &c.subject };

    c.subject.ifaces = &iface_system;
    enum code code = choose(&s, path);
    if (code == OK)
        code = gather(&s, &c.settings);
    if (code == OK && s.data_dir)
        code = server_program_look(s.opts.program, arena, &c.subject);
    if (code == OK)
        code = look_for_files(&s);
    if (code == OK)
        code = read_rules(&s, &c.policy);
    if (code == OK) {
        *out = c;
        return OK;
    }
    collected_fini(&c);
    return err_set(e, code, "the files of \"%s\" cannot be judged", path);
}
