/* The event loop over libuv. */
#include "net/loop.h"

#include "base/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { POST_AGAIN_NS = 10 * 1000 * 1000 };

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
};

struct poll {
    uv_poll_t uv;
    poll_fn *fn;
    void *arg;
    unsigned events; /* what the owner wants to hear of */
    unsigned armed;  /* what libuv watches: all of `events`, perhaps more */
};

struct timer {
    uv_timer_t uv;
    timer_fn *fn;
    void *arg;
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

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (!loop)
        return NULL;
    STAILQ_INIT(&loop->messages);
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return NULL;
    }
    if (uv_mutex_init(&loop->lock) != 0 || uv_async_init(&loop->uv, &loop->wake, run_messages) != 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return NULL;
    }
    loop->wake.data = loop;
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    run_messages(&loop->wake);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    while (uv_run(&loop->uv, UV_RUN_DEFAULT) != 0)
        ; /* a message may have stopped it once more */
    CHECK(uv_loop_close(&loop->uv) == 0);
    uv_mutex_destroy(&loop->lock);
    free(loop);
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
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

struct poll *poll_new(struct loop *loop, int fd, poll_fn *fn, void *arg)
{
    struct poll *poll = calloc(1, sizeof *poll);

    if (!poll)
        return NULL;
    if (uv_poll_init(&loop->uv, &poll->uv, fd) != 0) {
        free(poll);
        return NULL;
    }
    poll->fn = fn;
    poll->arg = arg;
    return poll;
}

/* Let libuv watch what is wanted. */
static void loop_start(struct poll *poll);

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct poll *poll = (struct poll *)uv;
    unsigned ready = 0;

    if (status < 0) {
        /* An error shows itself at a read or write, perhaps not at the next one: there may be data before it.
         * libuv has stopped watching, the owner has not. */
        ready = poll->events;
        loop_start(poll);
    } else {
        if (events & UV_READABLE)
            ready |= POLL_READ;
        if (events & UV_WRITABLE)
            ready |= POLL_WRITE;
        if (ready & ~poll->events)
            loop_start(poll);
        ready &= poll->events;
    }
    if (ready)
        poll->fn(poll->arg, ready);
}

static void loop_start(struct poll *poll)
{
    int uv_events = 0;

    if (poll->events & POLL_READ)
        uv_events |= UV_READABLE;
    if (poll->events & POLL_WRITE)
        uv_events |= UV_WRITABLE;
    poll->armed = poll->events;
    if (uv_events)
        (void)uv_poll_start(&poll->uv, uv_events, on_poll);
    else
        (void)uv_poll_stop(&poll->uv);
}

/*
 * Each change costs two system calls in libuv, and most interest that ends is back before anything happens:
 * so less interest is only noted, until an event that nobody wants shows that it lasts.
 */
void poll_set(struct poll *poll, unsigned events)
{
    poll->events = events;
    if (events & ~poll->armed)
        loop_start(poll);
}

void poll_rebind(struct poll *poll, poll_fn *fn, void *arg)
{
    poll->fn = fn;
    poll->arg = arg;
}

void poll_close(struct poll *poll)
{
    if (poll)
        uv_close((uv_handle_t *)&poll->uv, free_handle);
}

/* ---- timers ---- */

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg)
{
    struct timer *timer = calloc(1, sizeof *timer);

    if (!timer)
        return NULL;
    (void)uv_timer_init(&loop->uv, &timer->uv);
    timer->fn = fn;
    timer->arg = arg;
    return timer;
}

static void on_timer(uv_timer_t *uv)
{
    struct timer *timer = (struct timer *)uv;

    timer->fn(timer->arg);
}

void timer_set(struct timer *timer, int64_t delay_ms)
{
    (void)uv_timer_start(&timer->uv, on_timer, delay_ms > 0 ? (uint64_t)delay_ms : 0, 0);
}

void timer_stop(struct timer *timer)
{
    (void)uv_timer_stop(&timer->uv);
}

void timer_close(struct timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, free_handle);
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
    (void)uv_signal_stop(&watch->uv);
    uv_close((uv_handle_t *)&watch->uv, free_handle);
}

/* ---- signals that stay pending ---- */

struct pending_watch {
    int fd;
    struct poll *poll;
    void (*fn)(void *arg);
    void *arg;
};

static void on_pending(void *arg, unsigned events)
{
    struct pending_watch *watch = arg;

    (void)events;
    watch->fn(watch->arg);
}

struct pending_watch *pending_watch_new(struct loop *loop, int signum, void (*fn)(void *arg), void *arg)
{
    struct pending_watch *watch = calloc(1, sizeof *watch);
    sigset_t set;

    if (!watch)
        return NULL;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, signum);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    *watch = (struct pending_watch){ .fn = fn, .arg = arg };
    watch->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    watch->poll = watch->fd >= 0 ? poll_new(loop, watch->fd, on_pending, watch) : NULL;
    if (!watch->poll) {
        pending_watch_close(watch);
        return NULL;
    }
    poll_set(watch->poll, POLL_READ);
    return watch;
}

void pending_watch_take(struct pending_watch *watch)
{
    struct signalfd_siginfo info;

    (void)!read(watch->fd, &info, sizeof info); /* nothing there: it was taken before */
}

void pending_watch_close(struct pending_watch *watch)
{
    if (!watch)
        return;
    poll_close(watch->poll);
    if (watch->fd >= 0)
        (void)close(watch->fd);
    free(watch);
}

bool signal_is_pending(int signum)
{
    sigset_t set;

    return sigpending(&set) == 0 && sigismember(&set, signum) == 1;
}
