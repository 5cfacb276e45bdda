/* A data directory, read from outside. [src: PostgreSQL 18, pidfile.h, "Setting Parameters"] */
#include "renew/pgdata.h"

#include "base/arena.h"
#include "base/buf.h"
#include "conf/pgserver.h"
#include "lex/conf_disk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

enum { PG_PORT = 5432 };

enum code pgdata_state_dir(const char *dir, const char *config_file, char out[OS_PATH_MAX], struct err *e)
{
    char conf_dir[OS_PATH_MAX], parent[OS_PATH_MAX], name[OS_PATH_MAX];
    const char *slash = strrchr(dir, '/');

    TRY(os_dir_of(config_file, conf_dir, e));
    if (strcmp(conf_dir, dir) != 0)
        return os_path(conf_dir, "pgseal", out, e);
    TRY(os_dir_of(dir, parent, e));
    int n = snprintf(name, sizeof name, "pgseal-%s", slash ? slash + 1 : dir);
    if (n < 0 || (size_t)n >= sizeof name)
        return err_set(e, E_LIMIT, "path name is too long: \"%s\"", dir);
    return os_path(parent, name, out, e);
}

/* ---- settings ---- */

/* Nothing is renewed for a server whose settings are not whole. */
static enum code first_error(const struct pgserver_file *file, struct err *e)
{
    const struct diag *row = diags_first_error(&file->diags);

    if (file->code == OK)
        return OK;
    return diags_to_err(&file->diags, row ? row->code : E_CONFIG, "the settings could not be read", e);
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
    struct pgserver_process process;

    pg->pid = pgserver_process(pg->dir, &process) && is_postmaster(pg, process.pid) ? process.pid : 0;
}

enum code pgdata_reload(const struct pgdata *pg, struct err *e)
{
    struct pgdata now = *pg;

    find_postmaster(&now);
    if (now.pid == 0)
        return err_set(e, E_UNAVAILABLE, "no PostgreSQL server is running in \"%s\"", pg->dir);
    if (kill(now.pid, SIGHUP) == 0)
        return OK;
    return err_set(e, code_from_errno(errno),
                   "could not send a signal to the PostgreSQL server in \"%s\": %m", pg->dir);
}

/* ---- all of it ---- */

static struct str value_of(const struct pgserver *server, const char *name, const char *otherwise)
{
    struct str value = pgserver_value(server, name);

    return value.p ? value : str_c(otherwise);
}

static enum code understand(const struct pgserver *server, struct pgdata *pg, struct err *e)
{
    struct str ssl = pgserver_value(server, "ssl"), port = pgserver_value(server, "port"),
               sni = pgserver_value(server, "ssl_sni");
    uint32_t number = PG_PORT;

    if (ssl.p && !str_to_bool(ssl, &pg->ssl))
        return err_set(e, E_CONFIG, "parameter \"ssl\" requires a Boolean value");
    if (port.p && !str_to_u32(port, 1, 65535, &number))
        return err_set(e, E_CONFIG, "invalid value for parameter \"port\": \"%.*s\"", STR_ARG(port));
    pg->port = number;
    pg->listen_addresses = value_of(server, "listen_addresses", "localhost");
    pg->passphrase_command = value_of(server, "ssl_passphrase_command", "");
    if (sni.p && !str_to_bool(sni, &pg->ssl_sni))
        return err_set(e, E_CONFIG, "parameter \"ssl_sni\" requires a Boolean value");
    TRY(pgserver_path(server, "hosts_file", "pg_hosts.conf", pg->hosts_file, e));
    TRY(pgserver_path(server, "ssl_cert_file", "server.crt", pg->cert_file, e));
    TRY(pgserver_path(server, "ssl_key_file", "server.key", pg->key_file, e));
    return pgserver_path(server, "ssl_ca_file", "", pg->ca_file, e);
}

static enum code read_server(const char *dir, struct arena *arena, struct pgserver *out, struct err *e)
{
    const struct conf_fs disk = conf_fs_disk();

    if (pgserver_read(&disk, dir, arena, out) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    if (out->opts_error.code != OK)
        return err_set(e, out->opts_error.code, "could not read \"%s/postmaster.opts\": %s", dir,
                       err_text(&out->opts_error));
    if (!out->config.path)
        return err_set(e, E_NO_FILE, "no postgresql.conf belongs to the data directory \"%s\"", dir);
    TRY(first_error(&out->config, e));
    return first_error(&out->automatic, e);
}

enum code pgdata_read(const char *dir, struct arena *arena, struct pgdata *out, struct err *e)
{
    struct pgdata pg = { 0 };
    struct pgserver server;

    TRY(os_real_path(dir, "resolve", pg.dir, e));
    TRY(read_server(pg.dir, arena, &server, e));
    TRY(os_path("", server.config.path, pg.config_file, e));
    TRY(understand(&server, &pg, e));
    find_postmaster(&pg);
    *out = pg;
    return OK;
}
