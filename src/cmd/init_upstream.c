/*
 * The upstream server: what the gate's own settings say about it, and what its files must say about the gate.
 *
 * Over a unix socket the gate relays the password exchange, so the server must demand it there. Over TCP the
 * connection has TLS, so an exchange bound to the gate's certificate cannot be relayed, and the gate checks passwords itself:
 * it reads secrets as a role of its own and logs in with each client's own SCRAM keys.
 */
#include "cmd/init_upstream.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "client/conninfo_defaults.h"
#include "client/conninfo_text.h"
#include "cmd/drivers.h"
#include "cmd/init.h"

#define DEFAULT_UPSTREAM "host=/var/run/postgresql port=5432"
#define DEFAULT_ROLE "pgseal"
#define DEFAULT_DATABASE "postgres"

static enum code init_upstream_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* Copy a path below the gate's directory into the arena. */
static enum code below(const struct init_plan *plan, const char *name, struct str *out, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(plan->dir, name, path, e));
    return arena_str(plan->arena, str_c(path), out) ? OK : init_upstream_nomem(e);
}

static bool wants_verification(struct str sslmode)
{
    return !sslmode.p || str_is(sslmode, "verify-ca") || str_is(sslmode, "verify-full");
}

/* Names of the upstream hosts, for the certificate we issue to them. */
static enum code plan_server_names(struct init_plan *plan, const struct conninfo *info, struct err *e)
{
    plan->upstream_sans = arena_array(plan->arena, info->host_count, sizeof *plan->upstream_sans);
    if (!plan->upstream_sans)
        return init_upstream_nomem(e);
    for (size_t i = 0; i < info->host_count && plan->n_upstream_sans < CA_LIST_MAX; i++) {
        const struct conn_host *host = &info->hosts[i];
        if (host->kind == CONN_HOST_UNIX || host->host.n == 0)
            continue;
        TRY(san_parse(host->host, plan->arena, &plan->upstream_sans[plan->n_upstream_sans], e));
        plan->n_upstream_sans++;
    }
    return OK;
}

/* Over TCP: who reads secrets, with which password, and whom we trust. */
static enum code plan_tcp(struct init_plan *plan, struct conn_options *options, const struct conninfo *info,
                          struct err *e)
{
    struct str *v = options->v;

    if (!v[CONN_USER].p)
        v[CONN_USER] = STR(DEFAULT_ROLE);
    plan->gate_user = v[CONN_USER];
    if (!v[CONN_PASSFILE].p && !v[CONN_SSLCERT].p) {
        plan->own_passfile = true;
        TRY(below(plan, "upstream.pgpass", &v[CONN_PASSFILE], e));
    }
    if (wants_verification(v[CONN_SSLMODE]) && !v[CONN_SSLROOTCERT].p) {
        TRY(below(plan, "tls/ca.crt", &v[CONN_SSLROOTCERT], e));
        TRY(plan_server_names(plan, info, e));
    }
    return OK;
}

/* The application's password passes through, so nobody logs in as the gate; what it must not meet is another
 * server. */
static enum code check_companion(const struct init_plan *plan, const struct conn_options *options,
                                 struct err *e)
{
    const struct str *v = options->v;

    if (!plan->upstream_is_tcp)
        return err_set(e, E_USAGE,
                       "a companion gate is for a server on another machine: use --upstream "
                       "'host=... sslrootcert=...'");
    if (v[CONN_SSLMODE].p && !str_is(v[CONN_SSLMODE], "verify-full"))
        return err_set(e, E_USAGE, "a companion gate reaches its server with sslmode=verify-full");
    if (v[CONN_SSLROOTCERT].n == 0)
        return err_set(
            e, E_USAGE,
            "no CA to verify the server's certificate with: add sslrootcert=FILE, or sslrootcert=system, to "
            "--upstream");
    return OK;
}

static enum code print_options(struct init_plan *plan, const struct conn_options *options, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(CONN_TEXT_MAX);

    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++) {
        if (!options->v[i].p)
            continue;
        (void)buf_printf(&text, "%s%s=", text.n ? " " : "", conn_option_keyword(i));
        conninfo_quote(&text, options->v[i]);
    }
    if (!buf_ok(&text) || !arena_str(plan->arena, buf_str(&text), &plan->upstream))
        return init_upstream_nomem(e);
    return OK;
}

enum code init_plan_upstream(struct init_plan *plan, const char *text, struct err *e)
{
    struct conn_world world;
    struct conn_options options;
    struct conninfo info;
    struct str given = str_c(text ? text : DEFAULT_UPSTREAM);

    TRY(conn_world_system(plan->arena, &world));
    if (given.n != strcspn(given.p, "\r\n"))
        return err_set(e, E_USAGE, "a connection string must be a single line");
    TRY(conninfo_parse(given, &world, CONN_GATE, plan->arena, &info, e));
    TRY(conn_options_parse(given, plan->arena, &options, e));
    for (size_t i = 0; i < info.host_count; i++)
        plan->upstream_is_tcp |= info.hosts[i].kind != CONN_HOST_UNIX;
    /* In upstream a dbname would rename every client's database; what it is good for is another setting. */
    plan->auth_dbname = options.v[CONN_DBNAME].n > 0 ? options.v[CONN_DBNAME] : STR(DEFAULT_DATABASE);
    options.v[CONN_DBNAME] = (struct str){ NULL, 0 };
    if (plan->companion)
        TRY(check_companion(plan, &options, e));
    else if (plan->upstream_is_tcp)
        TRY(plan_tcp(plan, &options, &info, e));
    return print_options(plan, &options, e);
}

/* ---- the server's own files ---- */

enum code init_line(struct init_plan *plan, struct init_lines *lines, const char *fmt, ...)
{
    va_list args;

    CHECK(lines->n < INIT_LINES_MAX);
    va_start(args, fmt);
    bool ok = arena_vprintf(plan->arena, &lines->line[lines->n], fmt, args);
    va_end(args);
    lines->n += ok;
    return ok ? OK : E_NOMEM;
}

/* "name" as an SQL identifier. */
static bool identifier(struct init_plan *plan, struct str name, struct str *out)
{
    AUTO(buf) struct buf text = BUF_INIT(CONN_TEXT_MAX);

    (void)buf_append_byte(&text, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"')
            (void)buf_append_byte(&text, '"');
        (void)buf_append_byte(&text, (uint8_t)name.p[i]);
    }
    (void)buf_append_byte(&text, '"');
    return buf_ok(&text) && arena_str(plan->arena, buf_str(&text), out);
}

static enum code lines_over_tcp(struct init_plan *plan)
{
    struct str role;

    if (!identifier(plan, plan->gate_user, &role))
        return E_NOMEM;
    TRY(init_line(plan, &plan->hba, "hostssl  all  all  ADDRESS-OF-THE-GATE/32  scram-sha-256"));
    TRY(init_line(plan, &plan->conf, "ssl = on"));
    if (plan->n_upstream_sans) {
        TRY(init_line(plan, &plan->conf, "ssl_cert_file = 'server.crt'   # %s/upstream/server.crt",
                      plan->dir));
        TRY(init_line(plan, &plan->conf, "ssl_key_file = 'server.key'    # %s/upstream/server.key, mode 0600",
                      plan->dir));
    }
    if (plan->gate_secret.n)
        TRY(init_line(plan, &plan->sql, "CREATE ROLE %.*s LOGIN PASSWORD '%.*s';", STR_ARG(role),
                      STR_ARG(plan->gate_secret)));
    return init_line(plan, &plan->sql, "GRANT SELECT ON pg_catalog.pg_authid TO %.*s;", STR_ARG(role));
}

static enum code lines_over_socket(struct init_plan *plan)
{
    TRY(init_line(plan, &plan->hba, "local  all  all  scram-sha-256"));
    return init_line(plan, &plan->conf, "listen_addresses = ''          # only the gate can connect");
}

enum code init_plan_server(struct init_plan *plan, struct err *e)
{
    enum code code = plan->companion         ? init_line(plan, &plan->hba,
                                                         "hostssl  all  all  ADDRESS-OF-THIS-MACHINE/32  "
                                                                 "scram-sha-256")
                     : plan->upstream_is_tcp ? lines_over_tcp(plan)
                                             : lines_over_socket(plan);

    return code == OK ? OK : init_upstream_nomem(e);
}
