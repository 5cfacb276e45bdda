/*
 * `pgseal psql`: psql on the status database of a gate.
 *
 * The gate's own settings say where it listens. A unix socket comes first: over it the gate's own OS user is
 * always let in. Else TCP, verified against the gate's own CA where `init` made one.
 */
#include "cmd/psql.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/usage.h"
#include "conf/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- whose option is it? ---- */

/* Options of psql with a value, which may look like one of ours. [src: PostgreSQL 18, psql] */
static const char psql_letters[] = "cdfFhLopPRTUv";
static const char *const psql_names[] = {
    "command", "dbname", "field-separator",  "file", "host",       "log-file", "output",
    "port",    "pset",   "record-separator", "set",  "table-attr", "username", "variable"
};

/* Is the next word the value of this one? getopt takes "-Xc" and abbreviated names too. */
static bool wants_next(struct str word)
{
    if (word.n < 2 || word.p[0] != '-')
        return false;
    if (word.p[1] != '-') {
        for (size_t i = 1; i < word.n; i++)
            if (strchr(psql_letters, word.p[i]))
                return i == word.n - 1;
        return false;
    }
    struct str name = str_from(word, 2);
    for (size_t i = 0; i < COUNT_OF(psql_names); i++)
        if (name.n > 0 && str_starts(str_c(psql_names[i]), name))
            return true;
    return false;
}

/* How many words of ours begin here. */
static int own_words(const char *word)
{
    struct str s = str_c(word);

    if (str_is(s, "-D") || str_is(s, "--directory"))
        return 2;
    return str_starts(s, STR("-D")) || str_starts(s, STR("--directory=")) || str_is(s, "--help") ||
           str_is(s, "--verbose");
}

int psql_arrange(int argc, char **argv, char **out)
{
    static char end[] = "--";
    bool *own = calloc((size_t)argc + 1, sizeof *own);
    int n = 0, stop = argc;

    for (int i = 1; own && i < stop; i++) {
        if (str_is(str_c(argv[i]), "--")) {
            stop = i;
            break;
        }
        bool help = str_is(str_c(argv[i]), "-h") && i == argc - 1; /* else a host follows */
        int words = help ? 1 : own_words(argv[i]);
        own[i] = words > 0;
        if (words == 2 || wants_next(str_c(argv[i])))
            own[++i] = words > 0;
    }
    for (int i = 0; i < stop; i++)
        if (i == 0 || (own && own[i]))
            out[n++] = argv[i];
    bool cut = own && own[argc]; /* the last word wants a value: cmd_parse() says so */
    if (!cut)
        out[n++] = end;
    for (int i = 1; i < argc && !cut; i++)
        if (i != stop && !(own && own[i]))
            out[n++] = argv[i];
    free(own);
    return n;
}

/* ---- where the gate is ---- */

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
        return err_set(
            e, E_CONFIG,
            "the gate would not listen anywhere: listen_addresses and unix_socket_directories are empty");
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
