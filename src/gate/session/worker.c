/* One thread, its loop, its listeners and its sessions. */
#include "base/aged.h"
#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "gate/load/snapshot.h"
#include "gate/session/rooms.h"
#include "gate/session/session.h"
#include "gate/session/worker_private.h"
#include "gate/stats/clients.h"
#include "gate/stats/tally.h"
#include "gate/upstream/peers.h"
#include "gate/views/gather.h"
#include "net/socket.h"
#include "tls/context.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TABLES_UNDER_WAY = 8 /* when the SQL thread is busy for long */ };

/* ---- who connects how ---- */

void worker_count_client(struct worker *worker, const struct client_row *seen)
{
    if (!worker->clients) {
        worker->clients = clients_table();
        if (!worker->clients)
            return;
        timer_set(worker->clients_timer, CLIENTS_HAND_OVER_MS);
    }
    struct client_row *row = aged_note(worker->clients, &seen->key, seen->sessions > 0);
    if (row)
        client_merge(row, seen);
}

void worker_hand_over_clients(struct worker *worker)
{
    if (!worker->clients)
        return;
    if (atomic_load_explicit(&worker->clients_under_way, memory_order_relaxed) < TABLES_UNDER_WAY &&
        clients_hand_over(worker->shared->clients, worker->clients, &worker->clients_under_way)) {
        worker->clients = NULL;
        timer_stop(worker->clients_timer);
        return;
    }
    timer_set(worker->clients_timer, CLIENTS_HAND_OVER_MS);
}

static void on_clients_timer(void *arg)
{
    worker_hand_over_clients(arg);
}

/* ---- life ---- */

static void finish(void *arg);

struct worker *worker_new(struct gate_shared *shared, unsigned index)
{
    struct worker *worker = calloc(1, sizeof *worker);

    if (!worker)
        return NULL;
    worker->shared = shared;
    worker->index = index;
    worker->env = *shared->env;
    worker->hosts.roles = shared->roles;
    worker->spare = -1;
    LIST_INIT(&worker->listeners);
    LIST_INIT(&worker->gathering);
    TAILQ_INIT(&worker->sessions);
    worker->loop = loop_new();
    worker->finish = loop_message_new(finish, worker);
    worker->closed = loop_message_new(shared->worker_closed, shared->gate);
    worker->tally = tally_new(TALLY_FAILURES_MAX);
    worker->counters = counters_new(COUNT_CELLS_MAX);
    if (worker->counters) {
        worker->received = count_cell(worker->counters, METRIC_RECEIVED, NULL);
        worker->sent = count_cell(worker->counters, METRIC_SENT, NULL);
    }
    worker->library = tls_library_new();
    if (worker->loop) {
        worker->accept_pause = timer_new(worker->loop, accept_again, worker);
        worker->clients_timer = timer_new(worker->loop, on_clients_timer, worker);
    }
    if (!worker->loop || !worker->finish || !worker->closed || !worker->library || !worker->tally ||
        !worker->counters || !worker->accept_pause || !worker->clients_timer ||
        !stream_room_init(&worker->room, worker->loop)) {
        worker_free(worker);
        return NULL;
    }
    return worker;
}

void worker_free(struct worker *worker)
{
    if (!worker)
        return;
    lookups_free(worker->lookups);
    tally_free(worker->tally);
    aged_free(worker->clients);
    counters_free(worker->counters);
    accept_free(worker);
    loop_message_free(worker->finish);
    loop_message_free(worker->closed);
    timer_close(worker->accept_pause);
    timer_close(worker->clients_timer);
    loop_free(worker->loop);
    stream_room_fini(&worker->room);
    snapshot_unref(worker->snapshot);
    tls_library_free(worker->library);
    free(worker);
}

void worker_abandon(struct worker *worker)
{
    if (worker)
        cancel_abandon(worker);
}

static void *run(void *arg)
{
    struct worker *worker = arg;

    accept_again(worker);
    loop_run(worker->loop);
    worker->ended = true;
    worker_hand_over_clients(worker);
    (void)!loop_post(worker->shared->steward, worker->shared->worker_ended, worker->shared->gate);
    return NULL;
}

enum code worker_start(struct worker *worker, struct snapshot *snapshot, struct err *e)
{
    sigset_t all, before;

    worker->snapshot = snapshot;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the steward's */
    int why = pthread_create(&worker->thread, NULL, run, worker);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0)
        return err_set(e, E_NOMEM, "could not start a worker thread: %s", strerror(why));
    worker->running = true;
    atomic_fetch_add_explicit(&worker->shared->n_undrained, 1, memory_order_relaxed);
    return OK;
}

void worker_join(struct worker *worker)
{
    if (worker->running)
        (void)pthread_join(worker->thread, NULL);
    worker->running = false;
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
        if (!session_end_revoked(s) && cancel_is_idle(s)) /* whom it trusts may have changed */
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
        session_hurry(s);
    }
}

static void end_if_empty(struct worker *worker)
{
    if (worker->finishing && worker->n_alive == 0)
        loop_stop(worker->loop);
}

/* On each worker, when none has sessions any more: who came meanwhile has been turned away, or is soon. */
static void finish(void *arg)
{
    struct worker *worker = arg;

    worker->finishing = true;
    if (worker->hurried)
        drain_sessions(worker, true);
    else
        hurry_sessions(worker);
    end_if_empty(worker);
}

/* All go on until the last one is drained: they answer each other's questions. */
static void note_drained(struct worker *worker)
{
    struct gate_shared *shared = worker->shared;

    if (!worker->draining || worker->n_owed > 0 || worker->drained)
        return;
    worker->drained = true;
    if (atomic_fetch_sub_explicit(&shared->n_undrained, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < shared->n_workers; i++) {
        struct loop_message *message = shared->workers[i]->finish;
        shared->workers[i]->finish = NULL;
        loop_send(shared->workers[i]->loop, message);
    }
}

/*
 * Another gate is to have the address at once. Who stands in the queue comes in and hears 57P03; closing the
 * listener would reset him.
 */
static void stop_listening(struct worker *worker)
{
    struct loop_message *closed = worker->closed;

    accept_stop(worker);
    worker_hand_over_clients(worker);
    worker->closed = NULL;
    loop_send(worker->shared->steward, closed);
}

static void drain(struct worker *worker, bool now)
{
    if (!worker->draining) {
        worker->n_owed = worker->n_alive;
        worker->draining = true;
        stop_listening(worker);
    }
    drain_sessions(worker, now);
    worker->hurried = worker->hurried || now;
    if (now)
        worker->n_owed = 0;
    note_drained(worker);
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
    return !worker->running || loop_post(worker->loop, now ? drain_now : drain_gently, worker);
}

bool worker_post(struct worker *worker, void (*fn)(void *arg), void *arg)
{
    return loop_post(worker->loop, fn, arg);
}

/* ---- on the worker's own thread ---- */

struct loop *worker_loop(struct worker *worker)
{
    return worker->loop;
}

struct stream_room *worker_room(struct worker *worker)
{
    return &worker->room;
}

struct tally *worker_tally(struct worker *worker)
{
    return worker->tally;
}

struct counters *worker_counters(struct worker *worker)
{
    return worker->counters;
}

struct count_cell *worker_received(struct worker *worker)
{
    return worker->received;
}

struct count_cell *worker_sent(struct worker *worker)
{
    return worker->sent;
}

unsigned worker_index(const struct worker *worker)
{
    return worker->index;
}

struct host_cache *worker_hosts(struct worker *worker)
{
    return &worker->hosts;
}

const struct env *worker_env(const struct worker *worker)
{
    return &worker->env;
}

struct gate_shared *worker_shared(struct worker *worker)
{
    return worker->shared;
}

struct snapshot *worker_snapshot(struct worker *worker)
{
    return worker->snapshot;
}

struct tls_library *worker_library(struct worker *worker)
{
    return worker->library;
}

bool worker_draining(const struct worker *worker)
{
    return worker->draining;
}

void worker_session_began(struct worker *worker, struct session *session)
{
    TAILQ_INSERT_TAIL(&worker->sessions, session, entry);
    worker->n_alive++;
}

void worker_session_ended(struct worker *worker, struct session *session)
{
    gather_session_ends(worker, session);
    TAILQ_REMOVE(&worker->sessions, session, entry);
}

void worker_owes_less(struct worker *worker)
{
    if (worker->n_owed > 0)
        worker->n_owed--;
    note_drained(worker);
}

void worker_session_freed(struct worker *worker, bool late)
{
    worker->n_alive--;
    accept_freed(worker);
    if (!late)
        worker_owes_less(worker);
    end_if_empty(worker);
}
