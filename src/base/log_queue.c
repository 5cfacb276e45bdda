/*
 * A ring of whole lines between those who log and the one thread that writes.
 *
 * The lock guards the ring and the counts, never a write: it is held for as long as a line takes to be copied.
 * What the thread needs is in the queue, which stays behind with it when it is stuck at the end.
 */
#include "base/log_queue.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    CHUNK = LOG_LINE_MAX /* whole lines; a pipe takes so much at once, whoever else writes to it (PIPE_BUF) */
};

struct dropped {
    char cause[LOG_CLIENT_MAX];
    char prefix[LOG_PREFIX_MAX];
    unsigned long lines;
};

struct log_queue {
    log_queue_tell *tell;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled;  /* there is something to write, or the end */
    pthread_cond_t written; /* something has been written */
    struct env env;         /* for lines of the thread's own; its log is `own` */
    struct log own;         /* without a queue */
    int fd;
    bool waiting; /* the thread sleeps */
    bool stopping, stopped;
    size_t first, n;              /* of the ring */
    unsigned long long put, done; /* bytes, since the start */
    _Atomic unsigned long lost;
    struct dropped dropped[LOG_DROPPED_MAX]; /* the last one is for all others */
    size_t n_dropped;
    char ring[LOG_QUEUE_MAX];
    char chunk[CHUNK];
};

bool log_write(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd ready = { .fd = fd,
                                    .events = POLLOUT }; /* a pipe that somebody made non-blocking */
            (void)poll(&ready, 1, -1);
        } else if (done < 0 && errno != EINTR) {
            return false;
        } else if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
    return true;
}

/* ---- what is dropped ---- */

void log_prefix(const char *client, char out[LOG_PREFIX_MAX])
{
    char address[INET6_ADDRSTRLEN], text[INET6_ADDRSTRLEN];
    struct in6_addr six;
    struct in_addr four;
    struct str s = str_c(client);

    while (s.n > 0 && s.p[s.n - 1] != ':' && s.p[s.n - 1] != ']')
        s.n--;
    if (s.n > 0 && s.p[s.n - 1] == ':')
        s.n--;
    if (s.n > 2 && s.p[0] == '[')
        s = str_of(s.p + 1, s.n - 2);
    (void)snprintf(out, LOG_PREFIX_MAX, "%s", client);
    if (!str_to_c(s, address, sizeof address))
        return;
    if (inet_pton(AF_INET, address, &four) == 1) {
        (void)snprintf(out, LOG_PREFIX_MAX, "%s/32", address);
    } else if (inet_pton(AF_INET6, address, &six) == 1) {
        memset(&six.s6_addr[8], 0, 8);
        if (inet_ntop(AF_INET6, &six, text, sizeof text))
            (void)snprintf(out, LOG_PREFIX_MAX, "%s/64", text);
    }
}

static struct dropped *dropped_row(struct log_queue *q, const char *cause, const char *prefix)
{
    for (size_t i = 0; i < q->n_dropped; i++)
        if (strcmp(q->dropped[i].cause, cause) == 0 && strcmp(q->dropped[i].prefix, prefix) == 0)
            return &q->dropped[i];
    bool full = q->n_dropped >= LOG_DROPPED_MAX - 1;
    struct dropped *row = &q->dropped[full ? LOG_DROPPED_MAX - 1 : q->n_dropped];
    if (!full || q->n_dropped < LOG_DROPPED_MAX) {
        q->n_dropped++;
        (void)snprintf(row->cause, sizeof row->cause, "%s", full ? "other" : cause);
        (void)snprintf(row->prefix, sizeof row->prefix, "%s", full ? "" : prefix);
        row->lines = 0;
    }
    return row;
}

static void drop(struct log_queue *q, const struct log_line *line)
{
    char prefix[LOG_PREFIX_MAX];

    log_prefix(line->client, prefix);
    dropped_row(q, line->cause[0] ? line->cause : line->event, prefix)->lines++;
    atomic_fetch_add_explicit(&q->lost, 1, memory_order_relaxed);
}

/* Unlocked: `rows` is a copy. */
static void tell_dropped(struct log_queue *q, const struct dropped *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        q->tell(&q->env, rows[i].cause, rows[i].prefix, (long long)rows[i].lines);
}

/* ---- the ring ---- */

static void ring_put(struct log_queue *q, const char *text, size_t n)
{
    size_t at = (q->first + q->n) % LOG_QUEUE_MAX, part = LOG_QUEUE_MAX - at;

    part = part < n ? part : n;
    memcpy(q->ring + at, text, part);
    memcpy(q->ring, text + part, n - part);
    q->n += n;
    q->put += n;
}

static size_t ring_take(struct log_queue *q)
{
    size_t n = q->n < CHUNK ? q->n : CHUNK, part = LOG_QUEUE_MAX - q->first;

    part = part < n ? part : n;
    memcpy(q->chunk, q->ring + q->first, part);
    memcpy(q->chunk + part, q->ring, n - part);
    while (n > 0 && q->chunk[n - 1] != '\n')
        n--;
    q->n -= n;
    q->first = q->n == 0 ? 0 : (q->first + n) % LOG_QUEUE_MAX; /* an idle ring stays on its first pages */
    return n;
}

void log_queue_put(struct log_queue *queue, const struct log_line *line)
{
    (void)pthread_mutex_lock(&queue->lock);
    queue->own.format = line->format;
    if (line->n > LOG_QUEUE_MAX - queue->n)
        drop(queue, line);
    else
        ring_put(queue, line->text, line->n);
    if (queue->waiting)
        (void)pthread_cond_signal(&queue->filled);
    (void)pthread_mutex_unlock(&queue->lock);
}

unsigned long log_queue_lost(struct log_queue *queue)
{
    return atomic_load_explicit(&queue->lost, memory_order_relaxed) +
           atomic_load_explicit(&queue->own.lost, memory_order_relaxed);
}

/* ---- the thread ---- */

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 0;

    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

/* Locked on entry and return. */
static void write_some(struct log_queue *q)
{
    struct dropped rows[LOG_DROPPED_MAX];
    size_t n = ring_take(q), n_rows = 0;

    if (q->n == 0) { /* they came after what the ring held */
        n_rows = q->n_dropped;
        memcpy(rows, q->dropped, n_rows * sizeof rows[0]);
        q->n_dropped = 0;
    }
    (void)pthread_mutex_unlock(&q->lock);
    if (!log_write(q->fd, q->chunk, n))
        atomic_fetch_add_explicit(&q->lost, count_lines(q->chunk, n), memory_order_relaxed);
    tell_dropped(q, rows, n_rows);
    (void)pthread_mutex_lock(&q->lock);
    q->done += n;
    (void)pthread_cond_broadcast(&q->written);
}

static void *log_queue_run(void *arg)
{
    struct log_queue *q = arg;

    (void)pthread_mutex_lock(&q->lock);
    for (;;) {
        if (q->n > 0 || q->n_dropped > 0) {
            write_some(q);
            continue;
        }
        if (q->stopping)
            break;
        q->waiting = true;
        (void)pthread_cond_wait(&q->filled, &q->lock);
        q->waiting = false;
    }
    q->stopped = true;
    (void)pthread_cond_broadcast(&q->written);
    (void)pthread_mutex_unlock(&q->lock);
    return NULL;
}

/* ---- life ---- */

static void queue_free(struct log_queue *q)
{
    (void)pthread_cond_destroy(&q->filled);
    (void)pthread_cond_destroy(&q->written);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}

static void init_locks(struct log_queue *q)
{
    pthread_condattr_t attributes;

    (void)pthread_mutex_init(&q->lock, NULL);
    (void)pthread_cond_init(&q->filled, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&q->written, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

enum code log_queue_start(const struct env *env, log_queue_tell *tell, struct err *e)
{
    struct log_queue *q = calloc(1, sizeof *q);
    sigset_t all, before;

    if (!q)
        return err_set(e, E_NOMEM, "out of memory");
    init_locks(q);
    q->tell = tell;
    q->fd = env->log->fd;
    q->env = *env;
    q->env.log = &q->own;
    q->own.fd = env->log->fd;
    q->own.levels = env->log->levels;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int why = pthread_create(&q->thread, NULL, log_queue_run, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0) {
        queue_free(q);
        return err_set(e, E_NOMEM, "could not start the log thread: %s", strerror(why));
    }
    env->log->queue = q;
    return OK;
}

static struct timespec deadline(void)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LOG_FLUSH_MS / 1000;
    return until;
}

bool log_queue_flush(const struct log *log)
{
    const struct timespec until = deadline();
    struct log_queue *q = log->queue;

    if (!q)
        return true;
    (void)pthread_mutex_lock(&q->lock);
    unsigned long long wanted = q->put;
    while (q->done < wanted)
        if (pthread_cond_timedwait(&q->written, &q->lock, &until) != 0)
            break;
    bool flushed = q->done >= wanted;
    (void)pthread_mutex_unlock(&q->lock);
    return flushed;
}

void log_queue_stop(struct log *log)
{
    const struct timespec until = deadline();
    struct log_queue *q = log->queue;

    if (!q)
        return;
    (void)pthread_mutex_lock(&q->lock);
    q->stopping = true;
    (void)pthread_cond_signal(&q->filled);
    while (!q->stopped)
        if (pthread_cond_timedwait(&q->written, &q->lock, &until) != 0)
            break;
    bool stopped = q->stopped;
    (void)pthread_mutex_unlock(&q->lock);
    log->queue = NULL;
    if (!stopped) {
        (void)pthread_detach(q->thread);
        log->fd = -1;
        return;
    }
    (void)pthread_join(q->thread, NULL);
    atomic_fetch_add_explicit(&log->lost, log_queue_lost(q), memory_order_relaxed);
    queue_free(q);
}
