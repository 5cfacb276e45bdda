/* A PostgreSQL server's settings, read from outside. */
#include "conf/pgserver.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
    VERSION_MIN = 8,
    VERSION_MAX = 99,
    VERSION_FILE_MAX = 64,
    OPTS_FILE_MAX = 1 << 16,
    PID_FILE_MAX = 8192,
    SCRATCH_MAX = 64 << 20
};

/* ---- paths ---- */

static char *joined(struct arena *arena, const char *dir, const char *name)
{
    struct str out;

    return arena_printf(arena, &out, "%s/%s", dir, name) ? arena_c(arena, out) : NULL;
}

static bool same_directory(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static char *parent_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return arena_c(arena, STR("."));
    return arena_c(arena, str_of(path, slash > path ? (size_t)(slash - path) : 1));
}

bool pgserver_is_data(const char *dir)
{
    return os_has(dir, "PG_VERSION");
}

bool pgserver_is(const char *dir)
{
    return pgserver_is_data(dir) || os_has(dir, "postgresql.conf");
}

/* ---- single files ---- */

static enum code read_settings(const struct conf_fs *fs, const char *path, struct pgserver_file *out)
{
    out->path = path;
    out->code = conf_lex_file(fs, str_c(path), &out->entries, &out->diags);
    return out->code == E_NOMEM || out->diags.nomem ? E_NOMEM : OK;
}

static unsigned read_version(const struct conf_fs *fs, const char *data_dir)
{
    AUTO(buf) struct buf text = BUF_INIT(VERSION_FILE_MAX);
    char path[OS_PATH_MAX];
    struct err ignored;
    uint32_t version;

    if (os_path(data_dir, "PG_VERSION", path, NULL) != OK || fs->read(fs->ctx, path, &text, &ignored) != OK)
        return 0;
    struct str line = buf_str(&text);
    while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
        line.n--;
    line = str_first(line, str_find(line, '.')); /* before version 10: 9.6 */
    return str_to_u32(line, VERSION_MIN, VERSION_MAX, &version) ? version : 0;
}

/* /etc/postgresql/15/main: the version is in the path, too. */
static unsigned version_of_path(const char *dir)
{
    struct str rest = str_c(dir);
    uint32_t version;

    if (!str_starts(rest, STR(PGSERVER_DEBIAN "/")))
        return 0;
    rest = str_from(rest, sizeof PGSERVER_DEBIAN);
    rest = str_first(rest, str_find(rest, '/'));
    return str_to_u32(rest, VERSION_MIN, VERSION_MAX, &version) ? version : 0;
}

static enum code read_opts(const struct conf_fs *fs, struct pgserver *pg)
{
    AUTO(buf) struct buf text = BUF_INIT(OPTS_FILE_MAX);
    char *path = joined(pg->arena, pg->data_dir, "postmaster.opts");
    struct str copy;

    if (!path)
        return E_NOMEM;
    enum code code = fs->read(fs->ctx, path, &text, &pg->opts_error);
    if (code == OK && !arena_str(pg->arena, buf_str(&text), &copy))
        return E_NOMEM;
    if (code == OK)
        code = postmaster_opts_parse(copy, pg->arena, &pg->opts, &pg->opts_error);
    if (code == OK || code == E_NO_FILE) /* it was never started, or runs elsewhere */
        pg->opts_error.code = OK;
    return code == E_NOMEM ? E_NOMEM : OK;
}

/* ---- the two halves ---- */

/* The value that data_directory has in a file; NULL: none. */
static char *data_directory_of(struct arena *arena, const struct conf_entries *entries)
{
    const struct conf_entry *entry, *last = NULL;

    STAILQ_FOREACH (entry, &entries->list, next)
        if (entry->name.p && !entry->error.p && str_equal_nocase(entry->name, STR("data_directory")))
            last = entry;
    return last && last->value.n > 0 && !str_has_nul(last->value) ? arena_c(arena, last->value) : NULL;
}

/* Is this the configuration of our data directory? */
static bool is_ours(const struct conf_fs *fs, const struct pgserver *pg, const char *config_file)
{
    AUTO(arena) struct arena scratch = { .blocks = NULL };
    struct conf_entries entries;
    struct diags diags;

    arena_init(&scratch, SCRATCH_MAX, 4096);
    diags_init(&diags, &scratch);
    conf_entries_init(&entries, &scratch);
    enum code code = conf_lex_file(fs, str_c(config_file), &entries, &diags);
    if (code != OK && code != E_CONFIG)
        return false;
    const char *data_dir = data_directory_of(&scratch, &entries);
    return data_dir && same_directory(data_dir, pg->data_dir);
}

/* The cluster below /etc/postgresql/VERSION whose data_directory is ours; NULL: none. */
static char *debian_config(const struct conf_fs *fs, const struct pgserver *pg)
{
    char versions[sizeof PGSERVER_DEBIAN + 16];
    char *found = NULL;
    struct dirent *entry;

    if (pg->version == 0)
        return NULL;
    (void)snprintf(versions, sizeof versions, PGSERVER_DEBIAN "/%u", pg->version);
    DIR *dir = opendir(versions);
    while (dir && !found && (entry = readdir(dir))) {
        struct str path;
        if (entry->d_name[0] == '.' ||
            !arena_printf(pg->arena, &path, "%s/%s/postgresql.conf", versions, entry->d_name))
            continue;
        char *file = arena_c(pg->arena, path);
        if (file && os_exists(file) && is_ours(fs, pg, file))
            found = file;
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

/* The config_file of the command line, where it is there; NULL: not given. */
static char *started_config(const struct pgserver *pg)
{
    char path[OS_PATH_MAX], name[OS_PATH_MAX];

    for (size_t i = pg->opts.n; i > 0; i--) {
        const struct postmaster_opt *opt = &pg->opts.items[i - 1];
        if (str_is(opt->name, "config_file") && str_to_c(opt->value, name, sizeof name) &&
            os_path(pg->data_dir, name, path, NULL) == OK)
            return os_exists(path) ? arena_c(pg->arena, str_c(path)) : NULL;
    }
    return NULL;
}

/* From the data directory to postgresql.conf. */
static enum code find_config(const struct conf_fs *fs, struct pgserver *pg, const char **out)
{
    pg->version = read_version(fs, pg->data_dir);
    TRY(read_opts(fs, pg));
    *out = started_config(pg);
    if (!*out && os_has(pg->data_dir, "postgresql.conf"))
        *out = joined(pg->arena, pg->data_dir, "postgresql.conf");
    else if (!*out)
        *out = debian_config(fs, pg);
    return OK;
}

/* From postgresql.conf, which has been read, to the data directory. */
static enum code find_data(const struct conf_fs *fs, struct pgserver *pg)
{
    const char *dir = pg->named_dir ? pg->named_dir : pg->config_dir;

    pg->version = version_of_path(pg->config.path);
    pg->base = dir;
    if (!pgserver_is_data(dir))
        return OK;
    pg->data_dir = dir;
    unsigned version = read_version(fs, dir);
    if (version)
        pg->version = version;
    return read_opts(fs, pg);
}

static void file_init(struct pgserver_file *file, struct arena *arena)
{
    *file = (struct pgserver_file){ .path = NULL };
    conf_entries_init(&file->entries, arena);
    diags_init(&file->diags, arena);
}

enum code pgserver_read(const struct conf_fs *fs, const char *path, struct arena *arena, struct pgserver *out)
{
    const char *config = path;
    bool here = os_is_directory(path);

    *out = (struct pgserver){ .arena = arena, .base = path };
    if (here && pgserver_is_data(path))
        out->data_dir = path;
    file_init(&out->config, arena);
    file_init(&out->automatic, arena);
    if (out->data_dir)
        TRY(find_config(fs, out, &config));
    else if (here && !(config = joined(arena, path, "postgresql.conf")))
        return E_NOMEM;
    out->config_dir = config ? parent_of(arena, config) : path;
    if (!out->config_dir)
        return E_NOMEM;
    if (config) {
        TRY(read_settings(fs, config, &out->config));
        out->named_dir = data_directory_of(arena, &out->config.entries);
    }
    if (!out->data_dir)
        TRY(find_data(fs, out));
    if (!out->data_dir || !os_has(out->data_dir, "postgresql.auto.conf"))
        return OK;
    char *automatic = joined(arena, out->data_dir, "postgresql.auto.conf");
    return automatic ? read_settings(fs, automatic, &out->automatic) : E_NOMEM;
}

/* ---- what counts ---- */

static void take_value(const struct conf_entries *entries, const char *name, struct str *value)
{
    const struct conf_entry *entry;

    STAILQ_FOREACH (entry, &entries->list, next)
        if (entry->name.p && !entry->error.p && str_equal_nocase(entry->name, str_c(name)))
            *value = entry->value;
}

struct str pgserver_value(const struct pgserver *pg, const char *name)
{
    struct str value = { .p = NULL };

    take_value(&pg->config.entries, name, &value);
    take_value(&pg->automatic.entries, name, &value);
    for (size_t i = 0; i < pg->opts.n; i++)
        if (str_equal_nocase(pg->opts.items[i].name, str_c(name)))
            value = pg->opts.items[i].value;
    return value;
}

enum code pgserver_path(const struct pgserver *pg, const char *name, const char *otherwise,
                        char out[OS_PATH_MAX], struct err *e)
{
    struct str value = pgserver_value(pg, name);
    char text[OS_PATH_MAX];

    if (!str_to_c(value.p ? value : str_c(otherwise), text, sizeof text))
        return err_set(e, E_LIMIT, "path name is too long: \"%.*s\"", STR_ARG(value));
    if (text[0] == '\0') {
        out[0] = '\0';
        return OK;
    }
    return os_path(pg->base, text, out, e);
}

/* ---- the process ---- */

bool pgserver_process(const char *data_dir, struct pgserver_process *out)
{
    enum { PID, DATA_DIR, START, PORT, SOCKET_DIR, ADDRESS, LINES };
    AUTO(buf) struct buf text = BUF_INIT(PID_FILE_MAX);
    struct str rest, line[LINES] = { 0 };
    char path[OS_PATH_MAX];
    uint32_t pid, port;

    if (os_path(data_dir, "postmaster.pid", path, NULL) != OK || os_read_file(path, &text, NULL) != OK)
        return false;
    rest = buf_str(&text);
    for (size_t i = 0; i < LINES && str_split(&rest, '\n', &line[i]); i++)
        line[i] = str_trim(line[i]);
    if (!str_to_u32(line[PID], 2, INT32_MAX, &pid))
        return false;
    *out = (struct pgserver_process){ .pid = (pid_t)pid };
    if (str_to_u32(line[PORT], 1, UINT16_MAX, &port))
        out->port = port;
    if (!str_to_c(line[ADDRESS], out->address, sizeof out->address))
        out->address[0] = '\0';
    return true;
}
