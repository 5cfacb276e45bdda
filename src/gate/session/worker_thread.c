/* One thread, its loop, its listeners and its sessions. */
#include "gate/session/worker_thread.h"

#include "base/count.h"
#include "gate/load/snapshot.h"
#include "gate/session/accept.h"
#include "gate/session/cancel.h"
#include "gate/session/limit.h"
#include "gate/session/registry.h"
#include "gate/session/revoke.h"
#include "gate/session/session.h"
#include "gate/session/walk.h"
#include "gate/session/worker_thread_impl.h"
#include "gate/stats/client_counts.h"
#include "gate/stats/tally.h"
#include "gate/upstream/forward.h"
#include "gate/upstream/lookup.h"
#include "gate/work/worker.h"
#include "tls/context.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- life ---- */

static void worker_thread_finish(void *arg);

static void on_sessions_changed(struct worker *worker);

static const struct worker_hooks hooks = {
    .sessions_changed = on_sessions_changed,
    .descriptor_freed = accept_freed,
    .needs_descriptor = accept_give_descriptor,
};

/* On the steward. */
static void closed(void *arg)
{
    const struct gate_shared *shared = arg;

    shared->steward_hooks->worker_closed(shared->gate);
}

/* On the steward. */
static void ended(void *arg)
{
    const struct gate_shared *shared = arg;

    shared->steward_hooks->worker_ended(shared->gate);
}

static bool worker_thread_fill(struct worker_thread *thread)
{
    struct worker *worker = &thread->worker;
    struct gate_shared *shared = worker->shared;

    worker->loop = loop_new();
    thread->finish = loop_message_new(worker_thread_finish, worker);
    thread->closed = loop_message_new(closed, shared);
    worker->tally = tally_new(TALLY_FAILURES_MAX);
    worker->counters = counters_new(COUNT_CELLS_MAX);
    worker->registry = registry_new();
    worker->library = tls_library_new();
    if (!worker->loop || !thread->finish || !thread->closed || !worker->tally || !worker->counters ||
        !worker->registry || !worker->library)
        return false;
    worker->received = count_cell(worker->counters, METRIC_RECEIVED, NULL);
    worker->sent = count_cell(worker->counters, METRIC_SENT, NULL);
    thread->accepting.pause = timer_new(worker->loop, accept_again, worker);
    return thread->accepting.pause && drain_init(&thread->drain, worker) && client_counts_init(worker) &&
           stream_room_init(&worker->room, worker->loop);
}

struct worker *worker_new(struct gate_shared *shared, unsigned index)
{
    struct worker_thread *thread = calloc(1, sizeof *thread);

    if (!thread)
        return NULL;
    struct worker *worker = &thread->worker;
    worker->shared = shared;
    worker->index = index;
    worker->env = *shared->env;
    worker->hosts.roles = shared->roles;
    worker->hooks = &hooks;
    thread->accepting.spare = -1;
    LIST_INIT(&thread->accepting.listeners);
    LIST_INIT(&worker->gathering);
    TAILQ_INIT(&worker->sessions);
    if (worker_thread_fill(thread))
        return worker;
    worker_free(worker);
    return NULL;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    struct worker_thread *thread = worker_thread_of(worker);
    lookups_free(worker->lookups);
    tally_free(worker->tally);
    counters_free(worker->counters);
    registry_free(worker->registry);
    accept_free(worker);
    loop_message_free(thread->finish);
    loop_message_free(thread->closed);
    timer_close(thread->accepting.pause);
    drain_fini(&thread->drain);
    client_counts_fini(worker);
    loop_free(worker->loop);
    stream_room_fini(&worker->room);
    snapshot_unref(worker->snapshot);
    tls_library_free(worker->library);
    free(thread);
}

void worker_abandon(struct worker *worker)
{
    if (worker)
        cancel_abandon(worker);
}

static void *worker_thread_run(void *arg)
{
    struct worker *worker = arg;

    accept_again(worker);
    loop_run(worker->loop);
    worker->ended = true;
    client_counts_hand_over(worker);
    (void)!loop_post(worker->shared->steward, ended, worker->shared);
    return NULL;
}

enum code worker_start(struct worker *worker, struct snapshot *snapshot, struct err *e)
{
    struct worker_thread *thread = worker_thread_of(worker);
    sigset_t all, before;

    worker->snapshot = snapshot;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the steward's */
    int why = pthread_create(&thread->thread, NULL, worker_thread_run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0)
        return err_set(e, E_NOMEM, "could not start a worker thread: %s", strerror(why));
    thread->running = true;
    atomic_fetch_add_explicit(&worker->shared->n_undrained, 1, memory_order_relaxed);
    return OK;
}

void worker_join(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    if (thread->running)
        (void)pthread_join(thread->thread, NULL);
    thread->running = false;
}

/* ---- orders from the steward ---- */

struct worker_order {
    struct worker *worker;
    struct snapshot *snapshot;    /* a reference */
    struct loop_message *message; /* NULL once sent */
    void (*done)(void *arg);
    void *arg;
};

static void take_snapshot(void *arg)
{
    struct worker_order *order = arg;
    struct worker *worker = order->worker;
    struct session *s, *next;

    snapshot_unref(worker->snapshot);
    worker->snapshot = snapshot_ref(order->snapshot);
    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        if (session_end_revoked(s))
            continue;
        limit_join(s);
        if (cancel_is_idle(s)) /* whom it trusts may have changed */
            session_end(s, PARTING_SILENT, NULL);
    }
    forward_refresh(worker);
    order->done(order->arg);
    worker_order_free(order);
    accept_held(worker);
}

static void on_loaded(void *arg)
{
    accept_held(arg);
}

void worker_loaded(struct worker *worker)
{
    (void)!loop_post(worker->loop, on_loaded, worker); /* without memory: accept_again() */
}

struct worker_order *worker_order_new(struct worker *worker, struct snapshot *snapshot,
                                      void (*done)(void *arg), void *arg)
{
    struct worker_order *order = malloc(sizeof *order);

    if (!order)
        return NULL;
    *order = (struct worker_order){ .worker = worker,
                                    .snapshot = snapshot_ref(snapshot),
                                    .message = loop_message_new(take_snapshot, order),
                                    .done = done,
                                    .arg = arg };
    if (order->message)
        return order;
    worker_order_free(order);
    return NULL;
}

void worker_order_send(struct worker_order *order)
{
    struct loop_message *message = order->message;

    order->message = NULL;
    loop_send(order->worker->loop, message);
}

void worker_order_free(struct worker_order *order)
{
    if (!order)
        return;
    loop_message_free(order->message);
    snapshot_unref(order->snapshot);
    free(order);
}

static void drain_sessions(struct worker *worker, bool now)
{
    struct session *s, *next;

    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        session_drain(s, now);
    }
}

static void hurry_sessions(struct worker *worker)
{
    struct session *s, *next;

    for (s = TAILQ_FIRST(&worker->sessions); s; s = next) {
        next = TAILQ_NEXT(s, entry);
        walk_hurry(s);
    }
}

static void end_if_empty(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    if (thread->finishing && worker->n_alive == 0)
        loop_stop(worker->loop);
}

/* On each worker, when none has sessions any more: who came meanwhile has been turned away, or is soon. */
static void worker_thread_finish(void *arg)
{
    struct worker *worker = arg;
    struct worker_thread *thread = worker_thread_of(worker);

    thread->finishing = true;
    if (thread->hurried)
        drain_sessions(worker, true);
    else
        hurry_sessions(worker);
    end_if_empty(worker);
}

/* All go on until the last one is drained: they answer each other's questions. */
static void note_drained(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct gate_shared *shared = worker->shared;

    if ((!worker->draining && !worker->succeeded) || worker->n_owed > 0 || thread->drained)
        return;
    thread->drained = true;
    if (atomic_fetch_sub_explicit(&shared->n_undrained, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < shared->n_workers; i++) {
        struct worker_thread *other = worker_thread_of(shared->workers[i]);
        struct loop_message *message = other->finish;
        other->finish = NULL;
        loop_send(shared->workers[i]->loop, message);
    }
}

static void on_sessions_changed(struct worker *worker)
{
    note_drained(worker);
    end_if_empty(worker);
}

static void tell_closed(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct loop_message *message = thread->closed;

    client_counts_hand_over(worker);
    thread->closed = NULL;
    loop_send(worker->shared->steward, message);
}

/*
 * Another gate is to have the address at once. Who is in the queue comes in and hears 57P03; closing the
 * listener would reset him.
 */
static void stop_listening(struct worker *worker)
{
    accept_stop(worker);
    tell_closed(worker);
}

static void drain(struct worker *worker, bool now)
{
    struct worker_thread *thread = worker_thread_of(worker);
    bool first = !worker->draining, listens = first && !worker->succeeded;

    worker->draining = true;
    if (listens) {
        worker->n_owed = worker->n_alive;
        stop_listening(worker);
    }
    drain_sessions(worker, now);
    thread->hurried = thread->hurried || now;
    if (now) {
        drain_stop(&thread->drain);
        worker->n_owed = 0;
    } else if (first) {
        drain_begin(&thread->drain);
    }
    note_drained(worker);
}

static void leave_listeners(void *arg)
{
    struct worker *worker = arg;

    if (worker->draining || worker->succeeded)
        return;
    accept_leave(worker);
    worker->n_owed = worker->n_alive;
    worker->succeeded = true;
    tell_closed(worker);
    note_drained(worker);
}

bool worker_leave(struct worker *worker)
{
    return loop_post(worker->loop, leave_listeners, worker);
}

static void drain_gently(void *arg)
{
    drain(arg, false);
}

static void drain_now(void *arg)
{
    drain(arg, true);
}

bool worker_drain(struct worker *worker, bool now)
{
    struct worker_thread *thread = worker_thread_of(worker);

    return !thread->running || loop_post(worker->loop, now ? drain_now : drain_gently, worker);
}
