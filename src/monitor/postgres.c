/* The certificates of a PostgreSQL, as far as its files tell. What is missing beside them is not ours to say. */
#include "monitor/postgres.h"

#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "conf/pgserver.h"
#include "lex/conf_disk.h"
#include "monitor/ask.h"
#include "monitor/files.h"
#include "monitor/hosts.h"
#include "os/files.h"

struct pg {
    struct monitor_target *target;
    struct pgserver server;
};

static bool is_on(const struct pg *pg, const char *name)
{
    bool on = false;

    return str_to_bool(pgserver_value(&pg->server, name), &on) && on;
}

/* NULL: not set. */
static const char *file_of(const struct pg *pg, const char *name, const char *otherwise)
{
    char path[OS_PATH_MAX];
    struct err ignored;

    if (pgserver_path(&pg->server, name, otherwise, path, &ignored) != OK || path[0] == '\0')
        return NULL;
    return arena_c(&pg->target->arena, str_c(path));
}

static enum code read_settings(struct pg *pg, const char *dir, struct err *e)
{
    const struct conf_fs fs = conf_fs_disk();
    const struct pgserver_file *config = &pg->server.config;

    if (pgserver_read(&fs, dir, &pg->target->arena, &pg->server) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    if (!config->path)
        return err_set(e, E_NO_FILE, "no postgresql.conf belongs to this data directory");
    if (config->code == OK)
        return OK;
    return diags_to_err(&config->diags, config->code, "its settings could not be read", e);
}

/* ---- what it has ---- */

static enum code add_server(struct pg *pg, struct err *e)
{
    struct monitor_target *target = pg->target;
    const struct monitor_file cert = { "server", "ssl_cert_file",
                                       file_of(pg, "ssl_cert_file", "server.crt") };
    const struct monitor_file ca = { "client ca", "ssl_ca_file", file_of(pg, "ssl_ca_file", "") };
    const struct monitor_file crl = { "client ca", "ssl_crl_file", file_of(pg, "ssl_crl_file", "") };
    const struct monitor_file crls = { "crl", "ssl_crl_dir", file_of(pg, "ssl_crl_dir", "") };
    const struct monitor_hosts hosts = { is_on(pg, "ssl_sni"), file_of(pg, "hosts_file", "pg_hosts.conf"),
                                         pg->server.base };
    struct monitor_listener listener = { .port = 0 };
    struct pgserver_process process;
    struct monitor_row *leaf = NULL;
    struct monitor_hosted hosted;

    TRY(monitor_add_hosts(target, &hosts, &hosted, e));
    bool by_name = hosted.lines.n > 0;
    if (!by_name)
        TRY(monitor_add_chain(target, &cert, ROLE_SERVER, &leaf, e));
    if (pgserver_process(pg->server.base, &process) && process.port > 0 &&
        arena_str(&target->arena, str_c(process.address), &listener.address)) {
        listener.port = process.port;
        TRY(by_name ? monitor_ask_hosts(target, &hosted, listener, e)
                    : monitor_ask_served(target, leaf, &listener, e));
    }
    if (!by_name)
        TRY(monitor_add_trust(target, &ca, e));
    TRY(monitor_add_trust(target, &crl, e));
    return monitor_add_crl_dir(target, &crls, e);
}

/* A standby's primary is an upstream like any other. */
static enum code add_primary(struct pg *pg, struct err *e)
{
    struct str text = pgserver_value(&pg->server, "primary_conninfo");
    struct monitor_target *target = pg->target;
    struct conn_world world = *target->params->world;
    struct conninfo info;
    struct err why;

    if (text.n == 0)
        return OK;
    world.getenv = NULL; /* the server's environment is not ours */
    world.home = STR("");
    if (conninfo_parse(text, &world, CONN_LIBPQ, &target->arena, &info, &why) != OK)
        return monitor_add_fault(target, "upstream", STR("primary_conninfo"), MONITOR_UNKNOWN, err_text(&why),
                                 e);
    enum code code = monitor_ask_upstream(target, &info, "primary_conninfo", e);
    conninfo_wipe(&info);
    return code;
}

enum code monitor_add_postgres(struct monitor_target *target, const char *dir, struct err *e)
{
    struct pg pg = { .target = target };
    struct err why;
    enum code code = read_settings(&pg, dir, &why);

    if (code == E_NOMEM)
        return err_set(e, E_NOMEM, "out of memory");
    if (code != OK)
        return monitor_add_fault(target, "server", str_c(dir), MONITOR_UNKNOWN, err_text(&why), e);
    if (is_on(&pg, "ssl"))
        TRY(add_server(&pg, e));
    else
        TRY(monitor_add_fault(target, "server", str_c(dir), MONITOR_UNKNOWN, "ssl is off", e));
    return add_primary(&pg, e);
}
