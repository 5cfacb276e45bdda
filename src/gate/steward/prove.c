/*
 * Servers are asked one after the other, over the loop of a worker that serves nobody.
 *
 * What clients prove cannot be tried without a client: the gate's own part of the way is.
 */
#include "gate/steward/prove.h"

#include "base/arena.h"
#include "base/check.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/admission.h"
#include "gate/upstream/lookup.h"
#include "gate/upstream/server_conn.h"
#include "gate/work/worker.h"
#include "net/loop.h"

#include <signal.h>

enum { PROOF_TIMEOUT_MS = 20000, PROOF_ARENA_MAX = 1 << 20 };

struct proof {
    struct worker *worker;
    struct snapshot *snapshot;
    const struct settings_route *route;
    struct diags *diags;
    struct server_conn *conn;
    bool reached;
    struct err why;
};

static void over(struct proof *p)
{
    loop_stop(p->worker->loop);
}

static void on_timeout(void *arg)
{
    struct proof *p = arg;

    (void)err_set(&p->why, E_UNAVAILABLE, "the server was not reached in %d s", PROOF_TIMEOUT_MS / 1000);
    over(p);
}

static void on_reached(void *arg)
{
    struct proof *p = arg;

    p->reached = true;
    over(p);
}

static void prove_on_data(void *arg, struct bytes data)
{
    (void)arg;
    (void)data;
}

static void on_failed(void *arg, const struct err *e)
{
    struct proof *p = arg;

    p->why = *e;
    over(p);
}

static void on_answer(void *arg)
{
    over(arg);
}

static void prove_complain(struct proof *p)
{
    const struct settings *settings = snapshot_settings(p->snapshot);
    struct diag *row = diags_add(p->diags, SEV_ERROR, E_CONFIG, p->route->upstream_file,
                                 p->route->upstream_line, "upstream \"%.*s\": %s", STR_ARG(p->route->label),
                                 err_text(&p->why));

    if (str_starts(str_c(p->why.message), STR("permission denied")))
        diags_hint(p->diags, row,
                   "In database \"%.*s\" of the server: GRANT SELECT ON pg_catalog.pg_authid TO the user of "
                   "auth_user. The privilege is granted per database.",
                   STR_ARG(settings->auth_dbname));
    else if (p->why.hint[0])
        diags_hint(p->diags, row, "%s", p->why.hint);
}

/* Connection, TLS, verification. */
static void reach(struct proof *p, const struct upstream *upstream)
{
    const struct server_conn_owner owner = {
        .ready = on_reached, .data = prove_on_data, .closed = on_failed, .failed = on_failed, .arg = p
    };
    char where[128];

    p->reached = false;
    p->conn = server_conn_new(p->worker, upstream, &owner);
    if (!p->conn)
        (void)err_set(&p->why, E_NOMEM, "out of memory");
    else
        loop_run(p->worker->loop);
    if (p->reached) {
        server_conn_text(p->conn, where);
        (void)diags_add(p->diags, SEV_LOG, OK, p->route->upstream_file, p->route->upstream_line,
                        "upstream \"%.*s\": reached %s%s", STR_ARG(p->route->label), where,
                        !server_conn_is_tls(p->conn) ? " without TLS"
                        : upstream->verified         ? " over TLS, its certificate verified"
                                                     : " over TLS");
    } else {
        prove_complain(p);
    }
    server_conn_free(p->conn);
    p->conn = NULL;
}

/* The gate's own login, and a question whose answer is known: auth_user is a user. */
static void prove_ask(struct proof *p, const struct upstream *upstream)
{
    const struct settings *settings = snapshot_settings(p->snapshot);
    struct str user = settings->auth_user.n > 0 ? settings->auth_user : upstream->info.user;
    const struct lookup_question question = { p->snapshot, p->route, LOOKUP_SECRET, user, true };
    AUTO(arena) struct arena arena = { .blocks = NULL };
    struct credential credential = { .exists = false };
    const struct role_set *none = NULL;

    arena_init(&arena, PROOF_ARENA_MAX, 1024);
    struct lookup *lookup = lookup_new(p->worker, &question, on_answer, p);
    if (!lookup) {
        (void)err_set(&p->why, E_NOMEM, "out of memory");
        prove_complain(p);
        return;
    }
    loop_run(p->worker->loop);
    enum code code = lookup_take(lookup, &arena, &credential, &none, &p->why);
    lookup_free(lookup);
    bool known = credential.exists;
    wipe(&credential, sizeof credential);
    if (code == OK && !known)
        code = err_set(&p->why, E_CONFIG, "auth_query returned no row for auth_user \"%.*s\"", STR_ARG(user));
    if (code != OK) {
        prove_complain(p);
        return;
    }
    (void)diags_add(
        p->diags, SEV_LOG, OK, p->route->upstream_file, p->route->upstream_line,
        "upstream \"%.*s\": logged in as user \"%.*s\" to database \"%.*s\", auth_query returned a row",
        STR_ARG(p->route->label), STR_ARG(user), STR_ARG(settings->auth_dbname));
}

enum code prove_upstreams(struct worker *worker, struct snapshot *snapshot, struct diags *diags)
{
    const struct settings *settings = snapshot_settings(snapshot);
    struct proof p = { .worker = worker, .snapshot = snapshot, .diags = diags };
    size_t errors = diags->errors;

    (void)signal(SIGPIPE, SIG_IGN);
    loop_pool_prepare();
    struct timer *timer = timer_new(worker->loop, on_timeout, &p);
    if (!timer)
        return E_NOMEM;
    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct upstream *upstream = snapshot_upstream(snapshot, &settings->routes[i]);
        p.route = &settings->routes[i];
        if (!upstream->configured)
            continue;
        timer_set(timer, PROOF_TIMEOUT_MS);
        if (p.route->auth_source == CONF_AUTH_QUERY)
            prove_ask(&p, upstream);
        else if (p.route->owns_upstream)
            reach(&p, upstream);
        timer_stop(timer);
    }
    timer_close(timer);
    return diags->errors == errors ? OK : E_CONFIG;
}
