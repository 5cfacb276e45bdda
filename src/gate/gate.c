/*
 * The steward: loads, starts the workers, hears signals. (reload.c and stop.c are its other parts.)
 *
 * It runs on the main thread and touches no session. What it tells the workers goes through their loops.
 */
#include "gate/gate.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "base/log_queue.h"
#include "client/verify_served.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/pending.h"
#include "gate/session/worker_thread.h"
#include "gate/stats/clients.h"
#include "gate/steward/answers.h"
#include "gate/steward/confine.h"
#include "gate/steward/elders.h"
#include "gate/steward/handover.h"
#include "gate/steward/in_force.h"
#include "gate/steward/legacy.h"
#include "gate/steward/measure.h"
#include "gate/steward/prove.h"
#include "gate/steward/reach.h"
#include "gate/steward/ready.h"
#include "gate/steward/rehearse.h"
#include "gate/steward/reload.h"
#include "gate/steward/role_check.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/stop.h"
#include "gate/steward/succeed.h"
#include "gate/views/overview.h"
#include "gate/views/services.h"
#include "gate/work/clerk_link.h"
#include "gate/work/sql_thread.h"
#include "net/loop.h"
#include "net/pending_watch.h"
#include "os/descriptors.h"
#include "os/files.h"
#include "policy/policy.h"
#include "tls/context.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    DIAGS_ARENA_MAX = 16 * 1024 * 1024,
    PENDING_LEAST_PART = 8 /* of all descriptors, for those who want to log in */
};

/* ---- log ---- */

static void log_fatal(const struct env *env, const struct err *e)
{
    struct log_line line;

    log_begin(&line, env, SEV_FATAL, "start_failed");
    log_err(&line, e);
    log_end(&line);
    (void)log_queue_flush(env->log);
}

/* ---- loading ---- */

/* The number of workers decides how often TLS contexts are built: it is read before everything else. */
static enum code count_workers(struct gate *g, struct diags *diags)
{
    const struct settings_params params = {
        .dir = str_c(g->params->dir),
        .overrides = g->params->overrides,
        .n_overrides = g->params->n_overrides,
    };
    struct settings *settings;

    TRY(settings_load(&params, &settings, diags));
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    const struct legacy *legacy = succeed_legacy(g);
    g->n_workers = legacy                  ? legacy->n_workers
                   : settings->workers > 0 ? (unsigned)settings->workers
                   : cpus > 0              ? (unsigned)cpus
                                           : 1;
    g->env->log->format = gate_log_format(settings); /* of what is said about the other files */
    (void)snprintf(g->state_dir, sizeof g->state_dir, "%s", settings_state_dir(settings));
    settings_unref(settings);
    return OK;
}

static enum code make_workers(struct gate *g)
{
    g->workers = calloc(g->n_workers, sizeof(struct worker *));
    g->libraries = calloc(g->n_workers, sizeof(struct tls_library *));
    g->http_library = tls_library_new();
    g->counters = counters_new(COUNT_CELLS_MAX);
    g->shared.loops = calloc(g->n_workers, sizeof(struct loop *));
    STAILQ_INIT(&g->waiters);
    STAILQ_INIT(&g->reach.waiters);
    TAILQ_INIT(&g->role_checks.list);
    g->shared.roles = calloc(1, sizeof *g->shared.roles);
    g->shared.sql = sql_thread_new();
    g->shared.clerk = clerk_link_new(g->params->ties.line, g->params->env);
    if (g->shared.sql)
        g->shared.clients = clients_new(g->shared.sql, g->state_dir, g->params->env);
    if (!g->workers || !g->libraries || !g->http_library || !g->counters || !g->shared.loops ||
        !g->shared.roles || !g->shared.clients || !g->shared.clerk)
        return E_NOMEM;
    g->shared.started_us = g->env->now_unix_us(g->env->ctx);
    g->shared.dir = g->params->dir;
    g->shared.overrides = g->params->overrides;
    g->shared.n_overrides = g->params->n_overrides;
    g->shared.auditor = g->params->auditor;
    g->shared.env = g->params->env;
    g->shared.views = &view_services;
    g->shared.n_workers = g->n_workers;
    g->shared.workers = g->workers;
    g->shared.uid = geteuid();
    TRY(pending_open(&g->shared));
    for (unsigned i = 0; i < g->n_workers; i++) {
        g->workers[i] = worker_new(&g->shared, i);
        if (!g->workers[i])
            return E_NOMEM;
        g->libraries[i] = g->workers[i]->library;
        g->shared.loops[i] = g->workers[i]->loop;
    }
    return OK;
}

static void free_gate(struct gate *g)
{
    for (unsigned i = 0; g->workers && i < g->n_workers; i++)
        if (g->workers[i])
            worker_join(g->workers[i]);
    clerk_link_stop(g->shared.clerk);
    sql_thread_join(g->shared.sql);
    clients_stop(g->shared.clients);
    elders_close(g);
    handover_free(g); /* with the link's end the directory is the successor's */
    succeed_free(g);
    listen_close(&g->listening);
    for (unsigned i = 0; g->workers && i < g->n_workers; i++)
        worker_abandon(g->workers[i]);
    reload_stop(g);
    overview_stop(g->overview);
    if (g->http)
        g->params->http->close(g->http);
    measure_stop(g); /* a snapshot's contexts die before their libraries */
    reach_stop(g);
    role_check_stop(g);
    snapshot_unref(g->snapshot);
    for (unsigned i = 0; g->workers && i < g->n_workers; i++)
        worker_free(g->workers[i]);
    pending_close(&g->shared);
    free(g->workers);
    free(g->libraries);
    counters_free(g->counters);
    for (size_t i = 0; i < COUNT_OF(g->signals); i++)
        if (g->signals[i])
            signal_watch_close(g->signals[i]);
    pending_watch_close(g->hangup);
    stop_free(g);
    loop_free(g->loop);
    answers_free(g->answers);
    tls_library_free(
        g->http_library); /* after the last job of the loop: it may be a check of what is served */
    overview_free(g->overview);
    sql_thread_free(g->shared.sql);
    clerk_link_free(g->shared.clerk);
    clients_free(g->shared.clients);
    free(g->shared.loops);
    free(g->shared.roles);
    secret_wipe(&g->passphrase);
}

enum code gate_check(const struct gate_params *params, struct diags *diags)
{
    struct gate g = { .params = params, .env = params->env, .lock = OS_LOCK_INIT };

    enum code code = count_workers(&g, diags);
    g.n_workers = 1;
    if (code == OK)
        code = make_workers(&g);
    if (code == OK)
        code = in_force_load(&g, false, &g.snapshot, diags);
    if (code == OK)
        code = rehearse_start(snapshot_settings(g.snapshot), diags);
    if (code == OK && params->login)
        code = prove_upstreams(g.workers[0], g.snapshot, diags);
    free_gate(&g);
    return code;
}

/* ---- signals ---- */

static void gate_on_signal(void *arg, int signum)
{
    struct gate *g = arg;

    if (gate_is_over(g))
        return;
    if (succeed_stop(g, signum))
        return;
    handover_stop(g);
    stop_ask(g, signum == SIGINT);
}

/* ---- start ---- */

static const struct steward_hooks hooks = {
    .worker_closed = stop_worker_closed,
    .worker_ended = stop_worker_ended,
    .reload = reload_asked,
    .ask_elder = elders_ask,
    .ask_heir = handover_ask,
    .query_elders = elders_query,
    .recheck = role_check_now,
};

static enum code take_lock(struct gate *g, struct err *e)
{
    struct legacy *legacy = succeed_legacy(g);
    char path[OS_PATH_MAX];

    if (legacy) {
        g->lock.fd = legacy->lock;
        legacy->lock = -1;
        return OK;
    }
    TRY(os_path(g->state_dir, STATE_LOCK, path, e));
    return os_lock_take(path, g->params->ties.line >= 0 ? getppid() : getpid(), &g->lock, e);
}

static enum code prepare(struct gate *g, struct err *e)
{
    static const int signums[] = { SIGTERM, SIGINT };
    char path[OS_PATH_MAX];

    TRY(rehearse_state(g->state_dir, e));
    TRY(take_lock(g, e));
    TRY(os_path(g->state_dir, STATE_SECRET, path, e));
    TRY(os_nonce_file(path, g->env, g->shared.nonce, e));
    loop_pool_prepare();
    g->loop = loop_new();
    if (!g->loop || stop_prepare(g) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < COUNT_OF(signums); i++) {
        g->signals[i] = signal_watch_new(g->loop, signums[i], gate_on_signal, g);
        if (!g->signals[i])
            return err_set(e, E_INTERNAL, "could not watch signal %d", signums[i]);
    }
    g->hangup = pending_watch_new(g->loop, SIGHUP, reload_signalled, g);
    if (!g->hangup)
        return err_set(e, E_INTERNAL, "could not watch signal %d", SIGHUP);
    g->shared.steward = g->loop;
    g->shared.steward_hooks = &hooks;
    g->shared.gate = g;
    g->shared.history = &g->history;
    return make_workers(g) == OK ? OK : err_set(e, E_NOMEM, "out of memory");
}

static enum code load_first(struct gate *g, struct err *e)
{
    AUTO(arena) struct arena arena;
    struct diags diags;

    arena_init(&arena, DIAGS_ARENA_MAX, 1024);
    diags_init(&diags, &arena);
    enum code code = count_workers(g, &diags);
    if (code == OK)
        code = prepare(g, e);
    else
        err_set(e, code, "configuration file contains errors");
    if (code == OK) {
        code = in_force_load(g, false, &g->snapshot, &diags);
        if (code != OK)
            err_set(e, code, "configuration could not be loaded");
    }
    gate_log_diags(g->env, &diags, code == OK ? "start_note" : "start_error");
    return code;
}

/* ---- HTTP ---- */

static enum code open_http(struct gate *g, const struct settings *settings, struct err *e)
{
    struct legacy *legacy = succeed_legacy(g);
    struct socket_set sockets = legacy ? legacy->http : (struct socket_set){ .n = 0 };
    const struct gate_http_start begin = {
        .gate = g, .loop = g->loop, .env = g->env, .settings = settings, .sockets = legacy ? &sockets : NULL
    };

    if (!g->params->http)
        return OK;
    if (legacy)
        legacy->http.n = 0;
    TRY(g->params->http->open(&begin, &g->http, e));
    in_force_set_http_access(g);
    return OK;
}

void gate_report(struct gate *gate, void (*done)(void *arg, struct bytes json, const struct err *why),
                 void *arg)
{
    static const struct err no_memory = { .code = E_NOMEM, .message = "out of memory" },
                            stopping = { .code = E_SHUTDOWN, .message = "the gate is stopping" };

    if (!gate->overview && !gate->draining)
        gate->overview = overview_new(&gate->shared);
    if (gate->overview && !gate->draining)
        overview_ask(gate->overview, ready_not(gate), done, arg);
    else
        done(arg, bytes_of(NULL, 0), gate->draining ? &stopping : &no_memory);
}

/* As many as the settings may ask for; where that is more than there may be, fewer are let in to log in. */
static void find_descriptors(struct gate *g, const struct settings *settings)
{
    long wanted = pending_descriptors(&g->shared, settings), most = os_raise_descriptors(wanted);
    struct log_line line;
    char text[128];

    if (most >= wanted)
        return;
    long left = most - (wanted - pending_limit(&g->shared, settings, false));
    g->shared.pending_most = (int)(left > most / PENDING_LEAST_PART ? left : most / PENDING_LEAST_PART);
    log_begin(&line, g->env, SEV_WARNING, "descriptors");
    (void)snprintf(text, sizeof text,
                   "max_connections and max_pending_connections may need %ld open files, %ld are allowed",
                   wanted, most);
    log_c(&line, "message", text);
    log_int(&line, "pending", pending_limit(&g->shared, settings, false));
    log_c(&line, "hint", "Raise LimitNOFILE of the service, or ulimit -n; or lower max_connections.");
    log_end(&line);
}

static bool start_clients(struct gate *g, size_t limit)
{
    if (!succeed_legacy(g))
        return clients_start(g->shared.clients, limit);
    clients_await(g->shared.clients, limit);
    return true;
}

static enum code open_listeners(struct gate *g, const struct settings *settings, struct err *e)
{
    struct legacy *legacy = succeed_legacy(g);

    if (legacy)
        TRY(listen_adopt(&legacy->listening, g->workers, g->n_workers, &g->listening, e));
    else
        TRY(listen_open(settings, g->workers, g->n_workers, g->env, &g->listening, e));
    return open_http(g, settings, e);
}

static enum code gate_start(struct gate *g, struct err *e)
{
    TRY(confine_rings(e));
    TRY(succeed_begin(g, e));
    struct legacy *legacy = succeed_legacy(g);
    if (legacy)
        g->history = legacy->history;
    atomic_store(&g->shared.waiting, legacy != NULL);
    TRY(load_first(g, e));
    g->generation++;
    g->shared.generation = snapshot_generation(g->snapshot);
    (void)in_force_remember(g, legacy ? "upgrade" : "start", "loaded");
    const struct settings *settings = snapshot_settings(g->snapshot);
    gate_set_log(g, settings);
    find_descriptors(g, settings);
    if (legacy) {
        TRY(legacy_fits(legacy, settings, g->env, e));
        g->shared.started_us = legacy->started_us;
    }
    TRY(open_listeners(g, settings, e));
    clerk_link_start(g->shared.clerk);
    TRY(confine_files(g->state_dir, g->snapshot, g->env, e));
    TRY(log_queue_start(g->env, log_dropped, e)); /* whose thread may write no files either */
    TRY(sql_thread_start(g->shared.sql, e));
    if (!start_clients(g, (size_t)settings->clients_limit) || reload_start(g) != OK ||
        handover_start(g) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned i = 0; i < g->n_workers; i++)
        TRY(worker_start(g->workers[i], snapshot_ref(g->snapshot), e));
    TRY(confine_calls(g->snapshot, g->env, &g->programs, e));
    if (legacy)
        return succeed_prepared(g, e);
    ready_now(g);
    return OK;
}

enum code gate_run(const struct gate_params *params)
{
    struct gate g = { .params = params, .env = params->env, .lock = OS_LOCK_INIT };
    struct err e = { 0 };

    (void)signal(SIGPIPE, SIG_IGN);
    enum code code = gate_start(&g, &e);
    if (code != OK && params->ties.link >= 0)
        succeed_cannot(&g, &e);
    if (code != OK) {
        log_fatal(g.env, &e);
        for (unsigned i = 0; g.workers && i < g.n_workers; i++)
            if (g.workers[i] && !worker_drain(g.workers[i], true))
                abort(); /* out of memory while giving up: nothing is owed to anybody */
    } else {
        loop_run(g.loop);
        stop_report(&g);
        gate_log(g.env, SEV_LOG, "stopped",
                 g.succeeded ? "all sessions of the gate before the upgrade have ended"
                             : "pgseal is shut down");
    }
    free_gate(&g);
    log_queue_stop(g.env->log);
    return code;
}

bool gate_ask_ready(struct gate *gate, void (*done)(void *arg, const char *why), void *arg)
{
    return reach_ask(gate, done, arg);
}

bool gate_measure(struct gate *gate, void (*done)(void *arg, const struct counters *counters), void *arg)
{
    return measure_ask(gate, done, arg);
}
