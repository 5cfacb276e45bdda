/*
 * The event loop: epoll for descriptors, a heap of timers; libuv inside it, for signals, jobs and messages.
 *
 * A descriptor costs two epoll_ctl(2) in its life, and one more where its interest changes for long. libuv takes
 * seven, as it probes each descriptor first and forgets it at each change.
 */
#include "net/loop.h"

#include "base/check.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum {
    POST_AGAIN_NS = 10 * 1000 * 1000,
    EVENTS_MAX = 256, /* of one turn; who is left is ready in the next one */
    HEAP_MIN = 16
};

struct loop_message {
    void (*fn)(void *arg);
    void *arg;
    STAILQ_ENTRY(loop_message) next;
};

STAILQ_HEAD(message_list, loop_message);

struct poll {
    struct loop *loop;
    poll_fn *fn;
    void *arg;
    int fd;
    unsigned events; /* what the owner wants to hear of */
    unsigned armed;  /* what epoll watches: all of `events`, perhaps more */
    bool closed;     /* epoll may have told of it already in this turn */
    SLIST_ENTRY(poll) next;
};

SLIST_HEAD(poll_list, poll);

struct timer {
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    int64_t due_ms;
    uint64_t order; /* of those that are due at once, whoever was set first is first */
    size_t at;      /* its place in the heap; 0: it does not run */
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_mutex_t lock; /* guards `messages` only */
    struct message_list messages;
    int epoll;   /* holds libuv's own, which is told of as `data.ptr` NULL */
    bool uv_due; /* libuv has something to do that no descriptor tells of */
    bool stopped;
    uint64_t round;          /* one or more turns */
    struct poll_list closed; /* in this turn */
    int64_t now_ms;
    struct timer **heap; /* from 1; there is room for all timers */
    size_t running, timers, room;
    uint64_t order;
};

struct signal_watch {
    uv_signal_t uv;
    void (*fn)(void *arg, int signum);
    void *arg;
};

/* Every handle of libuv's is the first member of a struct that malloc gave. */
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

static void update_now(struct loop *loop)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    loop->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
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
    loop->epoll = -1;
    loop->uv_due = true;
    update_now(loop);
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return NULL;
    }
    if (!watch_uv(loop) || uv_mutex_init(&loop->lock) != 0 ||
        uv_async_init(&loop->uv, &loop->wake, run_messages) != 0) {
        (void)uv_loop_close(&loop->uv);
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
        SLIST_REMOVE_HEAD(&loop->closed, next);
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
        ;
    CHECK(uv_loop_close(&loop->uv) == 0);
    CHECK(loop->timers == 0);
    uv_mutex_destroy(&loop->lock);
    free_closed(loop);
    (void)close(loop->epoll);
    free(loop->heap);
    free(loop);
}

/* Until the next timer is due; -1: for ever. */
static int patience(const struct loop *loop)
{
    if (loop->uv_due)
        return 0;
    if (loop->running == 0)
        return -1;
    int64_t ms = loop->heap[1]->due_ms - loop->now_ms;
    return ms <= 0 ? 0 : ms > INT_MAX ? INT_MAX : (int)ms;
}

static void poll_tell(struct poll *poll, uint32_t got);
static void run_timers(struct loop *loop);

/* libuv's own timers are not used: it has something to do when its descriptor says so, or when `uv_due` does. */
static void turn(struct loop *loop)
{
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(loop->epoll, events, EVENTS_MAX, patience(loop));

    if (n < EVENTS_MAX)
        loop->round++;
    update_now(loop);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr)
            poll_tell(events[i].data.ptr, events[i].events);
        else
            loop->uv_due = true;
    if (loop->uv_due) {
        loop->uv_due = false;
        (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    }
    update_now(loop);
    run_timers(loop);
    free_closed(loop);
}

void loop_run(struct loop *loop)
{
    update_now(loop);
    while (!loop->stopped)
        turn(loop);
    loop->stopped = false;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

uint64_t loop_round(const struct loop *loop)
{
    return loop->round;
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

void loop_post_owed(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    static const struct timespec again = { .tv_nsec = POST_AGAIN_NS };

    while (!loop_post(loop, fn, arg))
        (void)nanosleep(&again, NULL);
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

static unsigned pool_size = LOOP_POOL_SIZE;

void loop_pool_prepare(void)
{
    enum { POOL_MAX = 1024 }; /* libuv's own bounds */
    const char *asked = getenv("UV_THREADPOOL_SIZE");
    char text[16];

    if (asked) {
        long n = strtol(asked, NULL, 10);
        pool_size = n < 1 ? 1 : n > POOL_MAX ? POOL_MAX : (unsigned)n;
        return;
    }
    (void)snprintf(text, sizeof text, "%d", LOOP_POOL_SIZE);
    (void)setenv("UV_THREADPOOL_SIZE", text, 0);
}

unsigned loop_pool_size(void)
{
    return pool_size;
}

/* ---- descriptors ---- */

/*
 * What epoll watches. Unasked it tells of errors and hang-ups, again and again: whoever wants nothing is told
 * once for each change, and hears of it again when he asks.
 */
static bool arm(struct poll *poll, int op, unsigned events)
{
    struct epoll_event event = { .data.ptr = poll };

    if (events & POLL_READ)
        event.events |= EPOLLIN;
    if (events & POLL_WRITE)
        event.events |= EPOLLOUT;
    if (!events)
        event.events = EPOLLET;
    poll->armed = events;
    return epoll_ctl(poll->loop->epoll, op, poll->fd, &event) == 0;
}

/* Nearly all begin with reading. What fails for want of memory does so here: no later change needs any. */
struct poll *poll_new(struct loop *loop, int fd, poll_fn *fn, void *arg)
{
    struct poll *poll = calloc(1, sizeof *poll);

    if (!poll)
        return NULL;
    *poll = (struct poll){ .loop = loop, .fd = fd, .fn = fn, .arg = arg };
    if (!arm(poll, EPOLL_CTL_ADD, POLL_READ)) {
        free(poll);
        return NULL;
    }
    return poll;
}

/* An error shows itself at a read or write, perhaps not at the next one: there may be data before it. */
static void poll_tell(struct poll *poll, uint32_t got)
{
    unsigned ready = 0;

    if (poll->closed)
        return;
    if (got & (EPOLLIN | EPOLLERR | EPOLLHUP))
        ready |= POLL_READ;
    if (got & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        ready |= POLL_WRITE;
    if (ready & poll->armed & ~poll->events)
        (void)arm(poll, EPOLL_CTL_MOD, poll->events);
    if (ready & poll->events)
        poll->fn(poll->arg, ready & poll->events);
}

/*
 * Most interest that ends is back before anything happens: so less interest is only noted, until an event that
 * nobody wants shows that it lasts.
 */
void poll_set(struct poll *poll, unsigned events)
{
    poll->events = events;
    if (events & ~poll->armed)
        (void)arm(poll, EPOLL_CTL_MOD, events);
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
    /* Closing alone would do only where no other process holds the descriptor. */
    (void)epoll_ctl(poll->loop->epoll, EPOLL_CTL_DEL, poll->fd, NULL);
    poll->closed = true;
    SLIST_INSERT_HEAD(&poll->loop->closed, poll, next);
}

/* ---- timers ---- */

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void place(struct timer *timer, size_t at)
{
    timer->loop->heap[at] = timer;
    timer->at = at;
}

/* The place `at` is free: let the timer find its own from there. */
static void settle(struct timer *timer, size_t at)
{
    struct loop *loop = timer->loop;

    for (; at > 1 && is_before(timer, loop->heap[at / 2]); at /= 2)
        place(loop->heap[at / 2], at);
    for (size_t child; (child = 2 * at) <= loop->running; at = child) {
        if (child < loop->running && is_before(loop->heap[child + 1], loop->heap[child]))
            child++;
        if (!is_before(loop->heap[child], timer))
            break;
        place(loop->heap[child], at);
    }
    place(timer, at);
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
    if (loop->timers + 1 >= loop->room) {
        size_t room = loop->room ? 2 * loop->room : HEAP_MIN;
        struct timer **heap = realloc(loop->heap, room * sizeof(struct timer *));
        if (!heap)
            return NULL;
        loop->heap = heap;
        loop->room = room;
    }
    struct timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    *timer = (struct timer){ .loop = loop, .fn = fn, .arg = arg };
    loop->timers++;
    return timer;
}

void timer_set(struct timer *timer, int64_t delay_ms)
{
    struct loop *loop = timer->loop;
    int64_t delay = delay_ms < 0 ? 0 : delay_ms;

    timer_stop(timer);
    timer->due_ms = delay > INT64_MAX - loop->now_ms ? INT64_MAX : loop->now_ms + delay;
    timer->order = loop->order++;
    settle(timer, ++loop->running);
}

void timer_stop(struct timer *timer)
{
    struct loop *loop = timer->loop;
    size_t at = timer->at;

    if (at == 0)
        return;
    timer->at = 0;
    struct timer *last = loop->heap[loop->running--];
    if (last != timer)
        settle(last, at);
}

void timer_close(struct timer *timer)
{
    if (!timer)
        return;
    timer_stop(timer);
    timer->loop->timers--;
    free(timer);
}

/* Those that were set before: one that sets itself again has its turn in the next one. */
static void run_timers(struct loop *loop)
{
    uint64_t end = loop->order;

    while (loop->running > 0 && loop->heap[1]->due_ms <= loop->now_ms && loop->heap[1]->order < end) {
        struct timer *timer = loop->heap[1];
        timer_stop(timer);
        timer->fn(timer->arg);
    }
}

/* ---- signals ---- */

static void loop_on_signal(uv_signal_t *uv, int signum)
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
    watch->uv.data = loop;
    loop->uv_due = true;
    watch->fn = fn;
    watch->arg = arg;
    if (uv_signal_start(&watch->uv, loop_on_signal, signum) != 0) {
        signal_watch_close(watch);
        return NULL;
    }
    return watch;
}

void signal_watch_close(struct signal_watch *watch)
{
    if (!watch)
        return;
    ((struct loop *)watch->uv.data)->uv_due = true;
    (void)uv_signal_stop(&watch->uv);
    uv_close((uv_handle_t *)&watch->uv, free_handle);
}
