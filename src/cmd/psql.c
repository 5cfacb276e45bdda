/*
 * `pgseal psql`: psql on the status database of a gate.
 *
 * The gate's own settings say where it listens. A unix socket comes first: over it the gate's own OS user is
 * always let in. Else TCP, verified against the gate's own CA where `init` made one.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cmd.h"
#include "conf/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { PSQL_CONNINFO_MAX = 16 * 1024, PSQL_ARENA_MAX = 16 * 1024 * 1024 };

/* One keyword, quoted as libpq reads it. */
static void put_keyword(struct buf *out, const char *keyword, struct str value)
{
    buf_printf(out, "%s%s='", out->n ? " " : "", keyword);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)value.p[i]);
    }
    buf_append_c(out, "'");
}

/* Any address stands for this machine. */
static struct str local_host(const struct settings *settings)
{
    struct str host = settings->listen_addresses.at[0];

    return str_is(host, "*") || str_is(host, "0.0.0.0") || str_is(host, "::") ? STR("localhost") : host;
}

static void put_tls(struct buf *out, const struct settings *settings)
{
    AUTO(buf) struct buf ca = BUF_INIT(PSQL_CONNINFO_MAX);

    if (!settings->ssl)
        return;
    buf_printf(&ca, "%.*s/tls/ca.crt", STR_ARG(settings->dir));
    bool ours = access(buf_c(&ca), R_OK) == 0;
    put_keyword(out, "sslmode", ours ? STR("verify-full") : STR("require"));
    if (ours)
        put_keyword(out, "sslrootcert", buf_str(&ca));
}

static enum code build_conninfo(const struct settings *settings, struct buf *out, struct err *e)
{
    if (settings->unix_socket_directories.n > 0) {
        put_keyword(out, "host", settings->unix_socket_directories.at[0]);
    } else if (settings->listen_addresses.n > 0) {
        put_keyword(out, "host", local_host(settings));
        put_tls(out, settings);
    } else {
        return err_set(e, E_CONFIG,
                       "the gate listens nowhere: listen_addresses and unix_socket_directories are empty");
    }
    buf_printf(out, " port=%d", settings->port);
    put_keyword(out, "dbname", settings->status_database);
    return buf_ok(out) ? OK : err_set(e, E_LIMIT, "the connection string is too long");
}

/* Returns only when psql could not be run. */
static int run_psql(const struct cmd *cmd, const char *conninfo)
{
    static char name[] = "psql", option[] = "-d";
    struct err e;
    char **argv = calloc(cmd->n_args + 4, sizeof *argv);
    char *copy = strdup(conninfo);

    if (argv && copy) {
        argv[0] = name;
        argv[1] = option;
        argv[2] = copy;
        for (size_t i = 0; i < cmd->n_args; i++)
            argv[i + 3] = cmd->args[i];
        (void)execvp(name, argv);
    }
    err_set(&e, errno == ENOENT ? E_NO_FILE : E_IO, "could not run psql: %m");
    if (errno == ENOENT)
        err_hint(&e, "Install the package postgresql-client.");
    free(copy);
    free(argv);
    return cmd_error(cmd, &e);
}

int cmd_psql(struct cmd *cmd)
{
    const char *dir = cmd_value(cmd, OPT_psql_directory);
    AUTO(buf) struct buf conninfo = BUF_INIT(PSQL_CONNINFO_MAX);
    AUTO(arena) struct arena arena;
    struct settings *settings = NULL;
    struct diags diags;
    struct err e = { 0 };

    arena_init(&arena, PSQL_ARENA_MAX, 1024);
    if (!dir)
        return cmd_usage(cmd, "no directory given: use -D DIR");
    diags_init(&diags, &arena);
    const struct settings_params params = { .dir = str_c(dir) };
    enum code code = settings_load(&params, &settings, &diags);
    if (code != OK) {
        int status = cmd_diags(cmd, &diags);
        return status ? status : code_exit(code);
    }
    code = build_conninfo(settings, &conninfo, &e);
    settings_unref(settings);
    if (code != OK)
        return cmd_error(cmd, &e);
    if (cmd->verbose)
        (void)fprintf(cmd->err, "psql -d \"%s\"\n", buf_c(&conninfo));
    return run_psql(cmd, buf_c(&conninfo));
}
