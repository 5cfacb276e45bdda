/*
 * Can any server be reached? A readiness probe asks, so the answer is found out when it is wanted and kept for a
 * moment.
 *
 * All addresses of all servers are connected to at once, on a pool thread with sockets that wait, and closed
 * again without a word: PostgreSQL leaves such a connection unmentioned. One that answers is enough; whether it
 * lets anybody in is for the sessions to find out.
 */
#include "gate/steward/reach.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/hosts.h"
#include "gate/load/snapshot.h"
#include "gate/steward/ready.h"
#include "gate/steward/steward.h"
#include "net/loop.h"
#include "net/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    REACH_MAX = 64,       /* addresses */
    REACH_KEPT_MS = 1000, /* an answer */
    REACH_WAIT_MS = 800,  /* [choice: Kubernetes' probes give up after a second] */
    ARENA_MAX = 1 << 20
};

struct reach_waiter {
    void (*done)(void *arg, const char *why);
    void *arg;
    STAILQ_ENTRY(reach_waiter) next;
};

/* One look; the pool thread's while it is there. */
struct look {
    struct gate *gate;
    struct snapshot *snapshot;
    bool configured; /* there is a server to be reached */
    bool reached;
    struct address addresses[REACH_MAX];
    size_t n;
};

/* ---- on the pool ---- */

static enum code answer_name(struct attempts *a, const struct conn_host *host)
{
    struct address found[HOST_ADDRESSES_MAX];
    size_t n;

    (void)conn_addrs_look_up(host->host, found, HOST_ADDRESSES_MAX, &n);
    return attempts_resolved(a, found, n);
}

/* A session's own walk over hosts and addresses, on which nothing is ever reached. */
static void add_addresses(struct look *look, const struct conninfo *info)
{
    AUTO(arena) struct arena arena;
    struct attempts a;

    arena_init(&arena, ARENA_MAX, 1024);
    if (attempts_init(&a, info, NULL, look->gate->env, &arena) != OK)
        return;
    while (look->n < REACH_MAX) {
        switch (a.step.action) {
        case ATTEMPT_RESOLVE:
            if (answer_name(&a, &info->hosts[a.step.host]) != OK)
                return;
            break;
        case ATTEMPT_CONNECT:
        case ATTEMPT_CONTINUE:
            look->addresses[look->n++] = a.step.addr;
            attempts_event(&a, EVENT_CONNECT_FAILED);
            break;
        case ATTEMPT_FAIL:
            return;
        }
    }
}

static bool connect_one(const struct address *addr, struct pollfd *out)
{
    struct address address = { .n = addr->n };
    struct err ignored;

    memcpy(&address.ss, &addr->ss, addr->n);
    *out = (struct pollfd){ .fd = -1, .events = POLLOUT };
    return socket_connect(&address, &out->fd, &ignored) == OK;
}

static void close_all(struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fds[i].fd >= 0)
            (void)close(fds[i].fd);
}

/* True: one has answered. Those that have failed are closed. */
static bool any_answered(struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i].fd < 0 || !fds[i].revents)
            continue;
        if (socket_connect_result(fds[i].fd) == 0)
            return true;
        (void)close(fds[i].fd);
        fds[i].fd = -1;
    }
    return false;
}

static bool connect_any(const struct look *look)
{
    int64_t until_us = env_mono_us(look->gate->env) + (int64_t)REACH_WAIT_MS * 1000;
    struct pollfd fds[REACH_MAX];
    size_t open = 0;
    bool reached = false;

    for (size_t i = 0; i < look->n; i++)
        open += connect_one(&look->addresses[i], &fds[i]);
    while (open > 0 && !reached) {
        int64_t left_ms = (until_us - env_mono_us(look->gate->env)) / 1000;
        int ready = left_ms > 0 ? poll(fds, look->n, (int)left_ms) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            break;
        reached = any_answered(fds, look->n);
        open = 0;
        for (size_t i = 0; i < look->n; i++)
            open += fds[i].fd >= 0;
    }
    close_all(fds, look->n);
    return reached;
}

static void reach_work(void *arg)
{
    struct look *look = arg;
    const struct settings *settings = snapshot_settings(look->snapshot);

    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        const struct upstream *upstream = snapshot_upstream(look->snapshot, route);
        if (!upstream || !upstream->configured || (i > 0 && !route->owns_upstream))
            continue;
        look->configured = true;
        add_addresses(look, &upstream->info);
    }
    look->reached = connect_any(look);
}

/* ---- on the steward ---- */

static const char *why_not(const struct gate *g)
{
    const char *why = ready_not(g);

    return why || g->reach.reached ? why : "unreachable: no server can be connected to";
}

static void reach_answer(struct gate *g)
{
    struct reach_waiters waiters = STAILQ_HEAD_INITIALIZER(waiters);
    struct reach_waiter *waiter;

    STAILQ_CONCAT(&waiters, &g->reach.waiters);
    while ((waiter = STAILQ_FIRST(&waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(&waiters, next);
        waiter->done(waiter->arg, why_not(g));
        free(waiter);
    }
}

static void reach_finish(void *arg)
{
    struct look *look = arg;
    struct gate *g = look->gate;

    g->reach.reached = look->reached || !look->configured;
    g->reach.generation = snapshot_generation(look->snapshot);
    g->reach.until_ms = loop_now_ms(g->loop) + REACH_KEPT_MS;
    g->reach.looking = false;
    snapshot_unref(look->snapshot);
    free(look);
    reach_answer(g);
    if (gate_is_over(g))
        loop_stop(g->loop);
}

static bool reach_begin(struct gate *g)
{
    struct look *look = calloc(1, sizeof *look);

    if (!look)
        return false;
    look->gate = g;
    look->snapshot = snapshot_ref(g->snapshot);
    g->reach.looking = loop_job(g->loop, reach_work, reach_finish, look);
    if (!g->reach.looking) {
        snapshot_unref(look->snapshot);
        free(look);
    }
    return g->reach.looking;
}

bool reach_ask(struct gate *g, void (*done)(void *arg, const char *why), void *arg)
{
    bool known = g->reach.until_ms > loop_now_ms(g->loop) && !g->reach.looking &&
                 g->reach.generation == snapshot_generation(g->snapshot);

    if (known || ready_not(g)) {
        done(arg, why_not(g));
        return true;
    }
    struct reach_waiter *waiter = malloc(sizeof *waiter);
    if (!waiter || !(g->reach.looking || reach_begin(g))) {
        free(waiter);
        return false;
    }
    *waiter = (struct reach_waiter){ .done = done, .arg = arg };
    STAILQ_INSERT_TAIL(&g->reach.waiters, waiter, next);
    return true;
}

void reach_stop(struct gate *g)
{
    while (g->reach.looking)
        loop_run(g->loop);
}
