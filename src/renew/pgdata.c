/* A data directory, read from outside. [src: PostgreSQL 18, pidfile.h, "Setting Parameters"] */
#include "renew/pgdata.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "lex/conf_disk.h"
#include "lex/postmaster_opts.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { OPTS_LIMIT = 64 * 1024, PG_PORT = 5432 };

static bool exists_in(const char *dir, const char *name)
{
    char path[OS_PATH_MAX];

    return os_path(dir, name, path, NULL) == OK && os_exists(path);
}

bool pgdata_is(const char *dir)
{
    return exists_in(dir, "PG_VERSION");
}

/* ---- settings ---- */

enum wanted { W_SSL, W_CERT, W_KEY, W_CA, W_PASSPHRASE, W_LISTEN, W_PORT, W_CONFIG, W_N };

static const char *const wanted_names[W_N] = {
    [W_SSL] = "ssl",
    [W_CERT] = "ssl_cert_file",
    [W_KEY] = "ssl_key_file",
    [W_CA] = "ssl_ca_file",
    [W_PASSPHRASE] = "ssl_passphrase_command",
    [W_LISTEN] = "listen_addresses",
    [W_PORT] = "port",
    [W_CONFIG] = "config_file",
};

struct values {
    struct str v[W_N]; /* p NULL: not set */
};

static void pgdata_put(struct values *values, struct str name, struct str value)
{
    for (size_t i = 0; i < W_N; i++)
        if (str_equal_nocase(name, str_c(wanted_names[i])))
            values->v[i] = value;
}

static enum code first_error(const struct diags *diags, struct err *e)
{
    const struct diag *row;

    STAILQ_FOREACH (row, &diags->list, next) {
        if (row->severity != SEV_ERROR)
            continue;
        (void)err_set(e, row->code, "%.*s", STR_ARG(row->message));
        err_where(e, row->file, row->line);
        return row->code;
    }
    return err_set(e, E_CONFIG, "the settings could not be read");
}

static enum code read_conf(const char *path, struct arena *arena, struct values *values, struct err *e)
{
    struct conf_fs disk = conf_fs_disk();
    struct conf_entries entries;
    const struct conf_entry *entry;
    struct diags diags;

    diags_init(&diags, arena);
    conf_entries_init(&entries, arena);
    enum code code = conf_lex_file(&disk, str_c(path), &entries, &diags);
    if (code != OK)
        return first_error(&diags, e);
    STAILQ_FOREACH (entry, &entries.list, next)
        if (entry->name.p && !entry->sub.p)
            pgdata_put(values, entry->name, entry->value);
    return OK;
}

/* ---- postmaster.opts ---- */

static enum code read_opts(const struct pgdata *pg, struct arena *arena, struct values *values, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OPTS_LIMIT);
    struct postmaster_opts opts;
    char path[OS_PATH_MAX];
    struct str copy;

    TRY(os_path(pg->dir, "postmaster.opts", path, e));
    if (!os_exists(path))
        return OK;
    TRY(os_read_file(path, &text, e));
    if (!arena_str(arena, buf_str(&text), &copy))
        return err_set(e, E_NOMEM, "out of memory");
    TRY(postmaster_opts_parse(copy, arena, &opts, e));
    for (size_t i = 0; i < opts.n; i++)
        pgdata_put(values, opts.items[i].name, opts.items[i].value);
    return OK;
}

/* ---- the process ---- */

static bool same_file(const char *a, const char *b)
{
    struct stat st_a, st_b;

    return stat(a, &st_a) == 0 && stat(b, &st_b) == 0 && st_a.st_dev == st_b.st_dev &&
           st_a.st_ino == st_b.st_ino;
}

/* postmaster.pid may be left over, and its number another process's by now: PostgreSQL works in its directory. */
static bool is_postmaster(const struct pgdata *pg, pid_t pid)
{
    char cwd[64];

    (void)snprintf(cwd, sizeof cwd, "/proc/%ld/cwd", (long)pid);
    return kill(pid, 0) == 0 && same_file(cwd, pg->dir);
}

static void find_postmaster(struct pgdata *pg)
{
    AUTO(buf) struct buf text = BUF_INIT(OPTS_LIMIT);
    char path[OS_PATH_MAX];
    uint32_t pid;

    pg->pid = 0;
    if (os_path(pg->dir, "postmaster.pid", path, NULL) != OK || os_read_file(path, &text, NULL) != OK)
        return;
    struct str first = str_first(buf_str(&text), str_find(buf_str(&text), '\n'));
    if (str_to_u32(str_trim(first), 2, INT32_MAX, &pid) && is_postmaster(pg, (pid_t)pid))
        pg->pid = (pid_t)pid;
}

enum code pgdata_reload(const struct pgdata *pg, struct err *e)
{
    struct pgdata now = *pg;

    find_postmaster(&now);
    if (now.pid == 0)
        return err_set(e, E_UNAVAILABLE, "no PostgreSQL runs in \"%s\"", pg->dir);
    if (kill(now.pid, SIGHUP) == 0)
        return OK;
    return err_set(e, code_from_errno(errno), "could not send a signal to the PostgreSQL in \"%s\": %m",
                   pg->dir);
}

/* ---- all of it ---- */

static enum code set_path(const struct pgdata *pg, struct str value, const char *boot, char out[OS_PATH_MAX],
                          struct err *e)
{
    char text[OS_PATH_MAX];

    if (!str_to_c(value.p ? value : str_c(boot), text, sizeof text))
        return err_set(e, E_LIMIT, "path name is too long: \"%.*s\"", STR_ARG(value));
    if (text[0] == '\0') {
        out[0] = '\0';
        return OK;
    }
    return os_path(pg->dir, text, out, e); /* PostgreSQL's relative paths start at the data directory */
}

static enum code understand(const struct values *values, struct pgdata *pg, struct err *e)
{
    struct str port = values->v[W_PORT];
    uint32_t number = PG_PORT;

    if (values->v[W_SSL].p && !str_to_bool(values->v[W_SSL], &pg->ssl))
        return err_set(e, E_CONFIG, "parameter \"ssl\" requires a Boolean value");
    if (port.p && !str_to_u32(port, 1, 65535, &number))
        return err_set(e, E_CONFIG, "invalid value for parameter \"port\": \"%.*s\"", STR_ARG(port));
    pg->port = number;
    pg->listen_addresses = values->v[W_LISTEN].p ? values->v[W_LISTEN] : STR("localhost");
    pg->passphrase_command = values->v[W_PASSPHRASE].p ? values->v[W_PASSPHRASE] : STR("");
    TRY(set_path(pg, values->v[W_CERT], "server.crt", pg->cert_file, e));
    TRY(set_path(pg, values->v[W_KEY], "server.key", pg->key_file, e));
    return set_path(pg, values->v[W_CA], "", pg->ca_file, e);
}

enum code pgdata_read(const char *dir, struct arena *arena, struct pgdata *out, struct err *e)
{
    struct pgdata pg = { 0 };
    struct values started = { 0 }, values = { 0 };
    char automatic[OS_PATH_MAX];
    char *real = realpath(dir, NULL);

    if (!real)
        return err_set(e, code_from_errno(errno), "could not resolve \"%s\": %m", dir);
    enum code code = os_path("", real, pg.dir, e);
    free(real);
    TRY(code);
    TRY(read_opts(&pg, arena, &started, e));
    TRY(set_path(&pg, started.v[W_CONFIG], "postgresql.conf", pg.config_file, e));
    TRY(read_conf(pg.config_file, arena, &values, e));
    TRY(os_path(pg.dir, "postgresql.auto.conf", automatic, e));
    if (os_exists(automatic))
        TRY(read_conf(automatic, arena, &values, e));
    for (size_t i = 0; i < W_N; i++)
        if (started.v[i].p)
            values.v[i] = started.v[i];
    TRY(understand(&values, &pg, e));
    find_postmaster(&pg);
    *out = pg;
    return OK;
}
