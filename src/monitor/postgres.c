/*
 * The settings of a PostgreSQL, as far as files tell: postgresql.conf with its includes, postgresql.auto.conf, and
 * over both the command line of its last start (postmaster.opts), which also says where Debian has postgresql.conf.
 */
#include "monitor/postgres.h"

#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "lex/conf_disk.h"
#include "lex/postmaster_opts.h"
#include "monitor/ask.h"
#include "monitor/files.h"
#include "os/files.h"

enum { PID_FILE_MAX = 8192, PID_LINES = 6, PID_PORT = 3, PID_ADDRESS = 5, OPTS_MAX = 65536 };

struct pg {
    struct monitor_target *target;
    struct conf_entries entries;
    struct postmaster_opts opts; /* of the command line, which counts before any file */
    struct str data;             /* relative paths start there */
};

/* As the last line has it; `otherwise` where none does. */
static struct str postgres_value_of(const struct pg *pg, const char *name, const char *otherwise)
{
    const struct conf_entry *entry;
    struct str value = str_c(otherwise);

    STAILQ_FOREACH (entry, &pg->entries.list, next) {
        if (entry->name.p && str_equal_nocase(entry->name, str_c(name)))
            value = entry->value;
    }
    for (size_t i = 0; i < pg->opts.n; i++)
        if (str_equal_nocase(pg->opts.items[i].name, str_c(name)))
            value = pg->opts.items[i].value;
    return value;
}

static bool is_on(const struct pg *pg, const char *name)
{
    bool on = false;

    return str_to_bool(postgres_value_of(pg, name, "off"), &on) && on;
}

/* NULL: not set. */
static const char *file_of(const struct pg *pg, const char *name, const char *otherwise)
{
    struct str value = postgres_value_of(pg, name, otherwise), path;

    if (value.n == 0)
        return NULL;
    if (value.p[0] == '/')
        return arena_c(&pg->target->arena, value);
    return arena_printf(&pg->target->arena, &path, "%.*s/%.*s", STR_ARG(pg->data), STR_ARG(value)) ? path.p
                                                                                                   : NULL;
}

/* ---- where its files are ---- */

/* The command line that it was last started with, if it ever was. A file that is not whole tells nothing. */
static void read_opts(struct pg *pg, const char *data)
{
    AUTO(buf) struct buf text = BUF_INIT(OPTS_MAX);
    char path[OS_PATH_MAX];
    struct err ignored;
    struct str copy;

    if (os_path(data, "postmaster.opts", path, &ignored) == OK && os_read_file(path, &text, &ignored) == OK &&
        arena_str(&pg->target->arena, buf_str(&text), &copy))
        (void)!postmaster_opts_parse(copy, &pg->target->arena, &pg->opts, &ignored);
}

/* postgresql.conf of a directory, or the one that the command line names; NULL: memory ran out. */
static const char *find_config(struct pg *pg, const char *dir)
{
    struct str named = postgres_value_of(pg, "config_file", ""), path;

    if (named.n > 0)
        return arena_c(&pg->target->arena, named);
    return arena_printf(&pg->target->arena, &path, "%s/postgresql.conf", dir) ? path.p : NULL;
}

static enum code read_settings(struct pg *pg, const char *dir, struct err *e)
{
    const struct conf_fs fs = conf_fs_disk();
    struct monitor_target *target = pg->target;
    char automatic[OS_PATH_MAX];
    struct diags diags;

    conf_entries_init(&pg->entries, &target->arena);
    diags_init(&diags, &target->arena);
    read_opts(pg, dir);
    const char *config = find_config(pg, dir);
    if (!config)
        return err_set(e, E_NOMEM, "out of memory");
    enum code code = conf_lex_file(&fs, str_c(config), &pg->entries, &diags);
    if (code != OK) {
        const struct diag *first = STAILQ_FIRST(&diags.list);
        const char *why = first ? arena_c(&target->arena, first->message) : NULL;
        return err_set(e, code, "%s", why ? why : "its settings could not be read");
    }
    pg->data = postgres_value_of(pg, "data_directory", dir);
    if (!arena_str(&target->arena, pg->data, &pg->data))
        return err_set(e, E_NOMEM, "out of memory");
    if (!str_is(pg->data, dir))
        read_opts(pg, pg->data.p);
    TRY(os_path(pg->data.p, "postgresql.auto.conf", automatic, e));
    if (os_exists(automatic))
        (void)!conf_lex_file(&fs, str_c(automatic), &pg->entries, &diags);
    return OK;
}

/* ---- where it listens ---- */

/*
 * Lines of postmaster.pid: pid, data directory, start, port, socket directory, address. False: it does not run.
 * [src: PostgreSQL 18, miscadmin.h LOCK_FILE_LINE_*]
 */
static bool running_at(const struct pg *pg, struct str *out_address, uint32_t *out_port)
{
    AUTO(buf) struct buf text = BUF_INIT(PID_FILE_MAX);
    struct str rest, line[PID_LINES];
    char path[OS_PATH_MAX];
    struct err ignored;

    if (os_path(pg->data.p, "postmaster.pid", path, &ignored) != OK ||
        os_read_file(path, &text, &ignored) != OK)
        return false;
    rest = buf_str(&text);
    for (size_t i = 0; i < PID_LINES; i++)
        if (!str_split(&rest, '\n', &line[i]))
            return false;
    return str_to_u32(str_trim(line[PID_PORT]), 1, 65535, out_port) &&
           arena_str(&pg->target->arena, str_trim(line[PID_ADDRESS]), out_address);
}

static enum code add_server(struct pg *pg, struct err *e)
{
    struct monitor_target *target = pg->target;
    const struct monitor_file cert = { "server", "ssl_cert_file",
                                       file_of(pg, "ssl_cert_file", "server.crt") };
    const struct monitor_file ca = { "client ca", "ssl_ca_file", file_of(pg, "ssl_ca_file", "") };
    const struct monitor_file crl = { "client ca", "ssl_crl_file", file_of(pg, "ssl_crl_file", "") };
    const struct monitor_file crls = { "crl", "ssl_crl_dir", file_of(pg, "ssl_crl_dir", "") };
    struct monitor_row *leaf;
    struct str address;
    uint32_t port;

    TRY(monitor_add_chain(target, &cert, ROLE_SERVER, &leaf, e));
    if (running_at(pg, &address, &port))
        TRY(monitor_ask_served(target, leaf, address, port, false, e));
    TRY(monitor_add_trust(target, &ca, e));
    TRY(monitor_add_trust(target, &crl, e));
    return monitor_add_crl_dir(target, &crls, e);
}

/* A standby's primary is an upstream like any other. */
static enum code add_primary(struct pg *pg, struct err *e)
{
    struct str text = postgres_value_of(pg, "primary_conninfo", "");
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
