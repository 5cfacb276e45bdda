/*
 * The event loop.
 *
 * Descriptors and timers are what every session has, so both are this file's own: one epoll_wait per wake-up,
 * one epoll_ctl where a change of interest needs it, a heap of times. The rarer things (messages from other
 * threads, jobs on the pool, signals) are libuv's. Its loop is one descriptor among ours, and runs when that
 * is readable or libuv has something to do.
 */
#include "net/loop.h"

#include "base/check.h"
#include "net/timers.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

enum { BATCH = 256 };

struct loop_message {
    void (*fn)(void *arg);
    void *arg;
    STAILQ_ENTRY(loop_message) next;
};

STAILQ_HEAD(message_list, loop_message);

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_mutex_t lock; /* guards `messages` only */
    struct message_list messages;
    int epoll;
    bool stopped;
    SLIST_HEAD(, poll) closed; /* an event of the batch under way may still name them */
    struct timers timers;
};

struct poll {
    struct loop *loop;
    poll_fn *fn; /* NULL: closed */
    void *arg;
    int fd;
    unsigned events; /* what the owner wants to hear of */
    unsigned armed;  /* what the kernel watches: all of `events`, perhaps more */
    SLIST_ENTRY(poll) entry;
};

struct signal_watch {
    uv_signal_t uv;
    void (*fn)(void *arg, int signum);
    void *arg;
};

/* Every handle is the first member of a struct that malloc gave. */
static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

/* ---- loop ---- */

static void run_messages(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    struct message_list taken = STAILQ_HEAD_INITIALIZER(taken);
    struct loop_message *message;

    uv_mutex_lock(&loop->lock);
    STAILQ_CONCAT(&taken, &loop->messages);
    uv_mutex_unlock(&loop->lock);
    while ((message = STAILQ_FIRST(&taken)) != NULL) {
        STAILQ_REMOVE_HEAD(&taken, next);
        message->fn(message->arg);
        loop_message_free(message);
    }
}

static bool watch_uv(struct loop *loop)
{
    struct epoll_event event = { .events = EPOLLIN };

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    return loop->epoll >= 0 && epoll_ctl(loop->epoll, EPOLL_CTL_ADD, uv_backend_fd(&loop->uv), &event) == 0;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return NULL;
    STAILQ_INIT(&loop->messages);
    SLIST_INIT(&loop->closed);
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return NULL;
    }
    loop->epoll = -1;
    if (uv_mutex_init(&loop->lock) != 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return NULL;
    }
    if (!watch_uv(loop) || uv_async_init(&loop->uv, &loop->wake, run_messages) != 0) {
        (void)uv_loop_close(&loop->uv);
        uv_mutex_destroy(&loop->lock);
        if (loop->epoll >= 0)
            (void)close(loop->epoll);
        free(loop);
        return NULL;
    }
    loop->wake.data = loop;
    return loop;
}

static void free_closed(struct loop *loop)
{
    struct poll *poll;

    while ((poll = SLIST_FIRST(&loop->closed)) != NULL) {
        SLIST_REMOVE_HEAD(&loop->closed, entry);
        free(poll);
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_messages(&loop->wake);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        ; /* jobs under way come to their end */
    CHECK(uv_loop_close(&loop->uv) == 0);
    uv_mutex_destroy(&loop->lock);
    free_closed(loop);
    timers_fini(&loop->timers);
    (void)close(loop->epoll);
    free(loop);
}

/* How long nothing needs to happen by itself; -1: for ever. */
static int patience(const struct loop *loop)
{
    int uv = uv_backend_timeout(&loop->uv);
    int own = timers_wait_ms(&loop->timers, loop_now_ms(loop));

    return own < 0 || (uv >= 0 && uv < own) ? uv : own;
}

static void deliver(struct poll *poll, uint32_t told);

void loop_run(struct loop *loop)
{
    struct epoll_event events[BATCH];

    while (!loop->stopped) {
        int n = epoll_wait(loop->epoll, events, BATCH, patience(loop));
        bool uv_ready = false;
        CHECK(n >= 0 || errno == EINTR);
        uv_update_time(&loop->uv);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                deliver(events[i].data.ptr, events[i].events);
            else
                uv_ready = true;
        }
        free_closed(loop);
        timers_run(&loop->timers, loop_now_ms(loop));
        if (uv_ready || uv_backend_timeout(&loop->uv) == 0)
            (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

struct loop_message *loop_message_new(void (*fn)(void *arg), void *arg)
{
    struct loop_message *message = malloc(sizeof *message);

    if (message)
        *message = (struct loop_message){ .fn = fn, .arg = arg };
    return message;
}

void loop_message_free(struct loop_message *message)
{
    free(message);
}

void loop_send(struct loop *loop, struct loop_message *message)
{
    uv_mutex_lock(&loop->lock);
    STAILQ_INSERT_TAIL(&loop->messages, message, next);
    uv_mutex_unlock(&loop->lock);
    (void)uv_async_send(&loop->wake);
}

bool loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct loop_message *message = loop_message_new(fn, arg);

    if (!message)
        return false;
    loop_send(loop, message);
    return true;
}

/* ---- jobs ---- */

struct job {
    uv_work_t uv;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void job_work(uv_work_t *uv)
{
    struct job *job = uv->data;

    job->work(job->arg);
}

static void job_done(uv_work_t *uv, int status)
{
    struct job *job = uv->data;

    (void)status;
    job->done(job->arg);
    free(job);
}

bool loop_job(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct job *job = malloc(sizeof *job);

    if (!job)
        return false;
    *job = (struct job){ .work = work, .done = done, .arg = arg };
    job->uv.data = job;
    if (uv_queue_work(&loop->uv, &job->uv, job_work, job_done) != 0) {
        free(job);
        return false;
    }
    return true;
}

/* ---- descriptors ---- */

static uint32_t told_of(unsigned events)
{
    uint32_t bits = 0;

    if (events & POLL_READ)
        bits |= EPOLLIN;
    if (events & POLL_WRITE)
        bits |= EPOLLOUT;
    return bits ? bits : EPOLLET; /* errors are told in any case, but so only once */
}

struct poll *poll_new(struct loop *loop, int fd, poll_fn *fn, void *arg)
{
    struct poll *poll = malloc(sizeof *poll);

    if (!poll)
        return NULL;
    /* Who opens a descriptor is about to read it, so that is watched without being asked for. */
    *poll = (struct poll){ .loop = loop, .fn = fn, .arg = arg, .fd = fd, .armed = POLL_READ };
    struct epoll_event event = { .events = told_of(poll->armed), .data.ptr = poll };
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        free(poll);
        return NULL;
    }
    return poll;
}

static void arm(struct poll *poll)
{
    struct epoll_event event = { .events = told_of(poll->events), .data.ptr = poll };

    poll->armed = poll->events;
    CHECK(epoll_ctl(poll->loop->epoll, EPOLL_CTL_MOD, poll->fd, &event) == 0);
}

static void deliver(struct poll *poll, uint32_t told)
{
    unsigned ready = 0;

    if (!poll->fn)
        return;
    if (told & EPOLLIN)
        ready |= POLL_READ;
    if (told & EPOLLOUT)
        ready |= POLL_WRITE;
    /* An error shows itself at a read or write, perhaps not at the next one: there may be data before it. */
    if (told & EPOLLERR || !ready)
        ready = poll->armed;
    if (ready & ~poll->events)
        arm(poll);
    ready &= poll->events;
    if (ready)
        poll->fn(poll->arg, ready);
}

/*
 * Each change costs a system call, and most interest that ends is back before anything happens: so less
 * interest is only noted, until an event that nobody wants shows that it lasts.
 */
void poll_set(struct poll *poll, unsigned events)
{
    poll->events = events;
    if (events & ~poll->armed)
        arm(poll);
}

void poll_rebind(struct poll *poll, poll_fn *fn, void *arg)
{
    poll->fn = fn;
    poll->arg = arg;
}

void poll_close(struct poll *poll)
{
    if (!poll)
        return;
    /* Not left to close(2): the descriptor may live on in somebody else's hands. */
    (void)epoll_ctl(poll->loop->epoll, EPOLL_CTL_DEL, poll->fd, NULL);
    poll->fn = NULL;
    SLIST_INSERT_HEAD(&poll->loop->closed, poll, entry);
}

/* ---- timers ---- */

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
    return timers_add(&loop->timers, loop, fn, arg);
}

void timer_set(struct timer *timer, int64_t delay_ms)
{
    struct loop *loop = timer->loop;

    timers_start(&loop->timers, timer, loop_now_ms(loop) + (delay_ms > 0 ? delay_ms : 0));
}

void timer_stop(struct timer *timer)
{
    timers_stop(&timer->loop->timers, timer);
}

void timer_close(struct timer *timer)
{
    if (timer)
        timers_remove(&timer->loop->timers, timer);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *uv, int signum)
{
    struct signal_watch *watch = (struct signal_watch *)uv;

    watch->fn(watch->arg, signum);
}

struct signal_watch *signal_watch_new(struct loop *loop, int signum, void (*fn)(void *arg, int signum),
                                      void *arg)
{
    struct signal_watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    (void)uv_signal_init(&loop->uv, &watch->uv);
    watch->fn = fn;
    watch->arg = arg;
    if (uv_signal_start(&watch->uv, on_signal, signum) != 0) {
        signal_watch_close(watch);
        return NULL;
    }
    return watch;
}

void signal_watch_close(struct signal_watch *watch)
{
    if (!watch)
        return;
    (void)uv_signal_stop(&watch->uv);
    uv_close((uv_handle_t *)&watch->uv, free_handle);
}
