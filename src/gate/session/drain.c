/*
 * When sessions fall due.
 *
 * The plan is a straight line: at any moment of drain_spread_time as many sessions may be left as there is time left.
 * Where there are more, those that have been idle longest end: nobody is likely to have taken them out of a pool just
 * now. A session at work is left alone until the time is over; then it ends with its transaction. Who leaves by
 * itself helps the plan. The pace has a jitter, since the gates of a service are often told to stop together.
 */
#include "gate/session/drain.h"

#include "base/env.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/session.h"
#include "gate/session/walk.h"
#include "gate/work/worker.h"
#include "net/loop.h"

#include <stdatomic.h>

enum {
    EACH_MS =
        20, /* for a session: a few do not take the whole time. [choice: a server logs in 200 a second] */
    TICK_MS = 10,  /* at least, between two looks */
    BATCH_MAX = 64 /* sessions that end at one look */
};

static bool is_served(const struct session *s)
{
    return s->ready_us && s->flags & SESSION_DRAINING;
}

static size_t drain_count(const struct worker *worker)
{
    const struct session *s;
    size_t n = 0;

    TAILQ_FOREACH (s, &worker->sessions, entry)
        n += is_served(s);
    return n;
}

/* The longest idle ones, at most `most`, in their order. */
static size_t find_longest(const struct worker *worker, struct session **out, size_t most)
{
    struct session *s;
    size_t n = 0;

    if (most == 0)
        return 0;
    TAILQ_FOREACH (s, &worker->sessions, entry) {
        if (!is_served(s) || s->flags & SESSION_DUE || !walk_idle(s) ||
            (n == most && s->active_ms >= out[n - 1]->active_ms))
            continue;
        size_t at = n < most ? n++ : n - 1;
        for (; at > 0 && out[at - 1]->active_ms > s->active_ms; at--)
            out[at] = out[at - 1];
        out[at] = s;
    }
    return n;
}

static void all_due(struct worker *worker)
{
    struct session *s, *next;

    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (is_served(s))
            walk_due(s);
    }
}

/* Half of the step to one and a half. */
static void wait_a_step(struct drain *drain)
{
    int64_t step = drain->spread_ms / (int64_t)(drain->n ? drain->n : 1);
    uint32_t dice = 0;

    if (step < TICK_MS)
        step = TICK_MS;
    (void)env_random(&drain->worker->env, &dice, sizeof dice);
    timer_set(drain->timer, step / 2 + dice % (step + 1));
}

static void on_tick(void *arg)
{
    struct drain *drain = arg;
    struct worker *worker = drain->worker;
    struct session *longest[BATCH_MAX];
    int64_t passed = loop_now_ms(worker->loop) - drain->began_ms;

    if (passed >= drain->spread_ms) {
        all_due(worker);
        return;
    }
    size_t left = drain_count(worker);
    size_t may_be = (size_t)((int64_t)drain->n * (drain->spread_ms - passed) / drain->spread_ms);
    if (left > may_be) {
        size_t most = left - may_be < BATCH_MAX ? left - may_be : BATCH_MAX;
        size_t n = find_longest(worker, longest, most);
        for (size_t i = 0; i < n; i++)
            walk_due(longest[i]);
    }
    wait_a_step(drain);
}

static int64_t spread_of(const struct worker *worker)
{
    const struct settings *settings = snapshot_settings(worker->snapshot);
    int64_t most = (int64_t)settings->drain_timeout_s * 1000 / 2; /* who is at work then has the other half */
    int64_t spread = (int64_t)settings->drain_spread_time_s * 1000;
    int64_t enough = atomic_load_explicit(&worker->shared->connections, memory_order_relaxed) * EACH_MS;

    spread = spread < most ? spread : most;
    return spread < enough ? spread : enough;
}

bool drain_init(struct drain *drain, struct worker *worker)
{
    *drain = (struct drain){ .worker = worker, .timer = timer_new(worker->loop, on_tick, drain) };
    return drain->timer;
}

void drain_fini(struct drain *drain)
{
    timer_close(drain->timer);
}

void drain_begin(struct drain *drain)
{
    drain->began_ms = loop_now_ms(drain->worker->loop);
    drain->spread_ms = spread_of(drain->worker);
    drain->n = drain_count(drain->worker);
    on_tick(drain);
}

void drain_stop(struct drain *drain)
{
    timer_stop(drain->timer);
}
