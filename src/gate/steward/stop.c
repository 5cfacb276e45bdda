/*
 * Stopping. Another gate may have the directory, the addresses and the unix sockets before this one has
 * ended.
 *
 * First the listeners go, then what is kept in the directory is written for the last time, then the lock is
 * given up; what is left of this gate is its sessions. Nothing that it does from then on is seen in the
 * directory.
 */
#include "gate/steward/stop.h"

#include "base/log.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker_thread.h"
#include "gate/stats/clients.h"
#include "gate/steward/steward.h"
#include "gate/steward/steward_log.h"
#include "gate/views/overview.h"
#include "net/loop.h"
#include "os/notify.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LAST_WRITE_MS = 1000, /* for the SQL thread, which may be busy with a statement */
    STOP_MARGIN_S = 30,   /* for the rest, on a busy machine */
};

static void drain_workers(struct gate *g, bool now)
{
    for (unsigned i = 0; i < g->n_workers; i++)
        if (!worker_drain(g->workers[i], now))
            gate_log(g->env, SEV_LOG, "stop_failed", "out of memory");
}

static void on_drain_timeout(void *arg)
{
    struct gate *g = arg;
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "drain_timeout");
    log_c(&line, "message", "ending the sessions that are left");
    log_int(&line, "left", atomic_load_explicit(&g->shared.drain_left, memory_order_relaxed));
    log_end(&line);
    drain_workers(g, true);
}

/* ---- the directory ---- */

/* On the steward: nothing is written any more. */
static void release(void *arg)
{
    struct gate *g = arg;

    if (g->lock.fd < 0)
        return;
    timer_stop(g->release_timer);
    os_lock_release(&g->lock);
    if (g->released)
        g->released(g);
    else
        gate_log(g->env, SEV_LOG, "released", "another gate can be started on the same directory");
}

static void on_release_timeout(void *arg)
{
    struct gate *g = arg;

    if (clients_forbid(g->shared.clients))
        release(g);
    else
        timer_set(g->release_timer, LAST_WRITE_MS);
}

/* On the SQL thread. */
static void on_written(void *arg)
{
    struct gate *g = arg;

    loop_post_owed(g->loop, release, g);
}

void stop_worker_closed(struct gate *g)
{
    if (++g->n_closed < g->n_workers ||
        g->lock.fd < 0) /* a start that failed has put everything away already */
        return;
    listen_close(&g->listening);
    timer_set(g->release_timer, clients_leave(g->shared.clients, on_written, g) ? LAST_WRITE_MS : 0);
}

void stop_worker_ended(struct gate *g)
{
    g->n_ended++;
    if (gate_is_over(g))
        loop_stop(g->loop);
}

/* The service manager waits for as long as the settings say, whatever its own limit is. */
static void tell_manager(const struct gate *g)
{
    const struct settings *settings = snapshot_settings(g->snapshot);
    long long s = (long long)settings->shutdown_delay_s + settings->drain_timeout_s + STOP_MARGIN_S;
    char text[128];

    (void)snprintf(text, sizeof text, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld", s * 1000000);
    os_notify(text);
}

static void stop_drain(struct gate *g, bool now)
{
    if (!g->draining) {
        timer_stop(g->delay_timer);
        overview_stop(g->overview); /* the workers it waits for may end before they answer */
        listen_hide(&g->listening);
        if (g->http &&
            !g->leaving) /* with a delay nobody is about to start a gate here: probes and scrapers go on */
            g->params->http->shut(g->http);
        if (!now)
            timer_set(g->drain_timer, (int64_t)snapshot_settings(g->snapshot)->drain_timeout_s * 1000);
    }
    g->draining = true;
    drain_workers(g, now);
}

static void on_delay_over(void *arg)
{
    gate_log(((struct gate *)arg)->env, SEV_LOG, "drain", "no longer accepting connections");
    stop_drain(arg, false);
}

static void log_request(const struct gate *g, bool now)
{
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "stop");
    log_c(&line, "message", now ? "received fast shutdown request" : "received smart shutdown request");
    if (!now && snapshot_settings(g->snapshot)->shutdown_delay_s > 0)
        log_int(&line, "accepting_s", snapshot_settings(g->snapshot)->shutdown_delay_s);
    log_end(&line);
}

void stop_ask(struct gate *g, bool now)
{
    if (!now && (g->leaving || (g->draining && !g->succeeded)))
        return;
    log_request(g, now);
    tell_manager(g);
    if (now || g->succeeded || snapshot_settings(g->snapshot)->shutdown_delay_s == 0) {
        stop_drain(g, now);
        return;
    }
    g->leaving = true;
    timer_set(g->delay_timer, (int64_t)snapshot_settings(g->snapshot)->shutdown_delay_s * 1000);
}

void stop_report(const struct gate *g)
{
    static const char *const words[DRAINED_COUNT] = {
        [DRAINED_IDLE] = "idle", [DRAINED_CUT] = "cut", [DRAINED_CLIENT] = "client"
    };
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "drained");
    log_c(&line, "message", "all sessions have ended");
    for (size_t i = 0; i < DRAINED_COUNT; i++)
        log_int(&line, words[i],
                (long long)atomic_load_explicit(&g->shared.drained[i], memory_order_relaxed));
    log_end(&line);
}

void stop_leave(struct gate *g)
{
    g->draining = g->succeeded = true;
    overview_stop(g->overview);
    listen_leave(&g->listening);
    if (g->http)
        g->params->http->leave(g->http);
    timer_set(g->drain_timer, (int64_t)snapshot_settings(g->snapshot)->drain_timeout_s * 1000);
    for (unsigned i = 0; i < g->n_workers; i++)
        if (!worker_leave(g->workers[i]))
            abort(); /* it would take connections that are not ours any more */
}

/* ---- life ---- */

enum code stop_prepare(struct gate *g)
{
    g->delay_timer = timer_new(g->loop, on_delay_over, g);
    g->drain_timer = timer_new(g->loop, on_drain_timeout, g);
    g->release_timer = timer_new(g->loop, on_release_timeout, g);
    return g->delay_timer && g->drain_timer && g->release_timer ? OK : E_NOMEM;
}

void stop_free(struct gate *g)
{
    os_lock_release(&g->lock);
    timer_close(g->delay_timer);
    timer_close(g->drain_timer);
    timer_close(g->release_timer);
}
