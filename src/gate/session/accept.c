/*
 * Who comes in: listeners, connections that wait for a load to be decided, and what is done when descriptors ran
 * out.
 */

#include "gate/session/accept.h"

#include "base/env.h"
#include "base/log.h"
#include "gate/load/snapshot.h"
#include "gate/session/pending.h"
#include "gate/session/session.h"
#include "gate/session/walk.h"
#include "gate/session/worker_thread_impl.h"
#include "gate/work/worker.h"
#include "net/pending_watch.h"
#include "net/socket.h"
#include "os/parent.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    ACCEPT_BATCH_MAX = 64, /* per wake-up and listener: the sessions that exist get their turn too */
    ACCEPT_LAST = 4096,    /* before a listener is closed: more than its queue holds */
    ACCEPT_PAUSE_MS =
        200, /* after descriptors ran out, or when memory did for the word that a load is over */
    NEED_LINES_US = 1000000 /* between two lines in the log about descriptors */
};

static void set_accepting(struct worker *worker, bool accepting)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct listener *listener;

    thread->accepting.on = accepting;
    LIST_FOREACH (listener, &thread->accepting.listeners, entry)
        poll_set(listener->poll, accepting ? POLL_READ : 0);
}

static bool ran_out(int why)
{
    return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM;
}

static void keep_spare(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    if (thread->accepting.spare < 0)
        thread->accepting.spare = socket_spare();
}

/*
 * As in PostgreSQL, whose postmaster does one thing after the other, a client that connects after SIGHUP was
 * sent is judged by the new rules. The signal stays pending until the steward has said so in `loading`; that
 * is cleared when the new generation is known; and this worker takes the snapshot a little later.
 */
static bool load_under_way(const struct worker *worker)
{
    struct gate_shared *shared = worker->shared;

    return !worker->draining &&
           (parent_has_signal(SIGHUP) || signal_is_pending(SIGHUP) || atomic_load(&shared->loading) ||
            atomic_load(&shared->generation) != snapshot_generation(worker->snapshot));
}

static void let_in(struct worker *worker, const struct accepted *accepted)
{
    struct session *s = walk_new(worker, accepted->fd, &accepted->peer, accepted->local);

    if (s && accepted->last_descriptor)
        s->flags |= SESSION_WITHOUT_DESCRIPTOR;
    keep_spare(worker);
}

static void hold(struct worker *worker, const struct accepted *accepted)
{
    struct worker_thread *thread = worker_thread_of(worker);

    thread->accepting.held = *accepted;
    thread->accepting.holding = true;
    set_accepting(worker, false);
    timer_set(thread->accepting.pause, ACCEPT_PAUSE_MS);
}

/* The others are still in the kernel's queue. */
void accept_held(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    if (!thread->accepting.holding || load_under_way(worker))
        return;
    thread->accepting.holding = false;
    timer_stop(thread->accepting.pause);
    set_accepting(worker, true);
    let_in(worker, &thread->accepting.held);
}

void accept_again(void *arg)
{
    struct worker *worker = arg;
    struct worker_thread *thread = worker_thread_of(worker);

    keep_spare(worker);
    if (atomic_load(&worker->shared->waiting))
        return;
    if (!thread->accepting.holding)
        set_accepting(worker, true);
    else if (load_under_way(worker))
        timer_set(thread->accepting.pause, ACCEPT_PAUSE_MS);
    else
        accept_held(worker);
}

static void log_need(struct worker *worker, int why)
{
    struct worker_thread *thread = worker_thread_of(worker);
    int64_t now = env_mono_us(&worker->env);
    struct log_line line;

    if (thread->accepting.need_us && now - thread->accepting.need_us < NEED_LINES_US)
        return;
    thread->accepting.need_us = now;
    log_begin(&line, &worker->env, SEV_LOG, "accept_failed");
    log_c(&line, "message", strerror(why));
    log_end(&line);
}

static void pause_accepting(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    set_accepting(worker, false);
    timer_set(thread->accepting.pause, ACCEPT_PAUSE_MS);
}

bool accept_give_descriptor(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    (void)pending_make_room(worker->shared);
    if (thread->accepting.spare < 0)
        return false;
    (void)close(thread->accepting.spare);
    thread->accepting.spare = -1;
    return true;
}

/*
 * Descriptors ran out. Somebody who has not logged in yields; the worker's spare one serves until his is
 * free. Where nobody can yield (*out_last), whoever comes is told so. -1, with errno: later.
 */
static int accept_in_need(const struct listener *listener, struct address *peer, bool *out_last)
{
    struct worker *worker = listener->worker;
    struct worker_thread *thread = worker_thread_of(worker);

    if (!socket_waits(listener->fd)) { /* accept(2) wants a descriptor before it looks */
        errno = EAGAIN;
        return -1;
    }
    log_need(worker, EMFILE);
    *out_last = !pending_make_room(worker->shared);
    if (thread->accepting.spare < 0) {
        errno = EMFILE;
        return -1;
    }
    (void)close(thread->accepting.spare);
    thread->accepting.spare = -1;
    return socket_accept(listener->fd, peer);
}

static void set_keepalive(const struct worker *worker, int fd)
{
    const struct settings *settings = snapshot_settings(worker->snapshot);
    const struct keepalive keepalive = {
        .idle_s = settings->tcp_keepalives_idle_s,
        .interval_s = settings->tcp_keepalives_interval_s,
        .count = settings->tcp_keepalives_count,
    };

    socket_set_keepalive_times(fd, &keepalive);
}

static void accept_some(const struct listener *listener, int most)
{
    struct worker *worker = listener->worker;
    struct address peer;

    for (int i = 0; i < most; i++) {
        bool last_descriptor = false;
        int fd = socket_accept(listener->fd, &peer);
        if (fd < 0 && ran_out(errno))
            fd = accept_in_need(listener, &peer, &last_descriptor);
        if (fd < 0) {
            if (ran_out(errno))
                pause_accepting(worker);
            return;
        }
        bool local = peer.ss.ss_family == AF_UNIX;
        if (!local)
            set_keepalive(worker, fd);
        const struct accepted accepted = {
            .local = local, .last_descriptor = last_descriptor, .fd = fd, .peer = peer
        };
        if (load_under_way(worker)) {
            hold(worker, &accepted);
            return;
        }
        let_in(worker, &accepted);
    }
}

/*
 * Whoever comes alone is accepted alone: to ask once more costs a descriptor and an inode in the kernel, whether
 * somebody is there or not. Where they come round after round, more of them are taken each time.
 */
static void on_acceptable(void *arg, unsigned events)
{
    struct listener *listener = arg;
    uint64_t round = loop_round(listener->worker->loop);

    (void)events;
    if (listener->round + 1 < round)
        listener->batch = 1;
    else if (listener->batch < ACCEPT_BATCH_MAX)
        listener->batch *= 2;
    listener->round = round;
    accept_some(listener, listener->batch);
}

enum code worker_add_listener(struct worker *worker, int fd, bool tcp)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct listener *listener = calloc(1, sizeof *listener);

    if (!listener)
        return E_NOMEM;
    *listener = (struct listener){ .worker = worker, .fd = fd, .tcp = tcp, .batch = 1 };
    listener->poll = poll_new(worker->loop, fd, on_acceptable, listener);
    if (!listener->poll) {
        free(listener);
        return E_NOMEM;
    }
    LIST_INSERT_HEAD(&thread->accepting.listeners, listener, entry);
    return OK;
}

static void close_listeners(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct listener *listener;

    while ((listener = LIST_FIRST(&thread->accepting.listeners)) != NULL) {
        LIST_REMOVE(listener, entry);
        poll_close(listener->poll);
        if (listener->tcp)
            (void)close(listener->fd);
        free(listener);
    }
}

void accept_stop(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);
    struct listener *listener;

    accept_held(worker);
    LIST_FOREACH (listener, &thread->accepting.listeners, entry)
        accept_some(listener, ACCEPT_LAST);
    close_listeners(worker);
}

void accept_leave(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    if (thread->accepting.holding) { /* nobody else can have this one */
        thread->accepting.holding = false;
        let_in(worker, &thread->accepting.held);
    }
    timer_stop(thread->accepting.pause);
    close_listeners(worker);
}

void accept_freed(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    keep_spare(worker);
    if (!thread->accepting.on && !thread->finishing)
        timer_set(thread->accepting.pause, 0);
}

void accept_free(struct worker *worker)
{
    struct worker_thread *thread = worker_thread_of(worker);

    close_listeners(worker);
    if (thread->accepting.holding)
        (void)close(thread->accepting.held.fd);
    if (thread->accepting.spare >= 0)
        (void)close(thread->accepting.spare);
}
