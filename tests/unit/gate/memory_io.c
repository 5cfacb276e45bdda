#include "memory_io.h"

#include "base/buf.h"
#include "base/check.h"
#include "net/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

struct poll {
    bool ours; /* of the connection in memory */
    poll_fn *fn;
    void *arg;
    unsigned events;
};

struct timer {
    timer_fn *fn;
    void *arg;
    bool armed;
    int64_t due_ms;
    TAILQ_ENTRY(timer) entry;
};

/* A message, or a job of the pool: first `work`, then `fn`. */
struct task {
    void (*work)(void *arg);
    void (*fn)(void *arg);
    void *arg;
    STAILQ_ENTRY(task) entry;
};

struct loop_message {
    void (*fn)(void *arg);
    void *arg;
};

static const struct loop *loop;
static int64_t now_ms;
static TAILQ_HEAD(, timer) timers = TAILQ_HEAD_INITIALIZER(timers);
static STAILQ_HEAD(, task) tasks = STAILQ_HEAD_INITIALIZER(tasks);
static struct poll *connection;
static struct bytes input;
static bool input_ends;
static bool end_told;
static struct buf sent = BUF_INIT(1 << 20);
static struct buf shown = BUF_INIT(1 << 20);

bool __real_loop_post(struct loop *to, void (*fn)(void *arg), void *arg);
ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __real_send(int fd, const void *data, size_t size, int flags);
struct poll *__wrap_poll_new(struct loop *on, int fd, poll_fn *fn, void *arg);
void __wrap_poll_set(struct poll *poll, unsigned events);
void __wrap_poll_rebind(struct poll *poll, poll_fn *fn, void *arg);
void __wrap_poll_close(struct poll *poll);
struct timer *__wrap_timer_new(struct loop *on, timer_fn *fn, void *arg);
void __wrap_timer_set(struct timer *timer, int64_t delay_ms);
void __wrap_timer_stop(struct timer *timer);
void __wrap_timer_close(struct timer *timer);
int64_t __wrap_loop_now_ms(const struct loop *of);
bool __wrap_loop_post(struct loop *to, void (*fn)(void *arg), void *arg);
bool __wrap_loop_job(struct loop *on, void (*work)(void *arg), void (*done)(void *arg), void *arg);
struct loop_message *__wrap_loop_message_new(void (*fn)(void *arg), void *arg);
void __wrap_loop_message_free(struct loop_message *message);
void __wrap_loop_send(struct loop *to, struct loop_message *message);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);

void memory_io_open(const struct loop *mine)
{
    loop = mine;
    now_ms = 0;
    memory_io_feed(bytes_of(NULL, 0), false);
    buf_reset(&sent);
}

void memory_io_close(void)
{
    buf_fini(&sent);
    buf_fini(&shown);
}

void memory_io_feed(struct bytes bytes, bool last)
{
    input = bytes;
    input_ends = last;
    end_told = false;
}

struct bytes memory_io_sent(void)
{
    buf_reset(&shown);
    buf_append_buf(&shown, &sent);
    buf_reset(&sent);
    return buf_bytes(&shown);
}

static bool run_task(void)
{
    struct task *task = STAILQ_FIRST(&tasks);

    if (!task)
        return false;
    STAILQ_REMOVE_HEAD(&tasks, entry);
    if (task->work)
        task->work(task->arg);
    task->fn(task->arg);
    free(task);
    return true;
}

static bool run_timer(void)
{
    struct timer *timer, *first = NULL;

    TAILQ_FOREACH (timer, &timers, entry)
        if (timer->armed && (!first || timer->due_ms < first->due_ms))
            first = timer;
    if (!first)
        return false;
    now_ms = first->due_ms;
    first->armed = false;
    first->fn(first->arg);
    return true;
}

bool memory_io_turn(void)
{
    if (run_task())
        return true;
    if (connection && connection->events & POLL_READ && (input.n > 0 || (input_ends && !end_told))) {
        connection->fn(connection->arg, POLL_READ);
        return true;
    }
    return run_timer();
}

/* ---- net/loop.h ---- */

struct poll *__wrap_poll_new(struct loop *on, int fd, poll_fn *fn, void *arg)
{
    struct poll *poll = calloc(1, sizeof *poll);

    CHECK(poll);
    (void)on;
    *poll = (struct poll){ .ours = fd == MEMORY_FD, .fn = fn, .arg = arg };
    if (poll->ours)
        connection = poll;
    return poll;
}

void __wrap_poll_set(struct poll *poll, unsigned events)
{
    if (poll)
        poll->events = events;
}

void __wrap_poll_rebind(struct poll *poll, poll_fn *fn, void *arg)
{
    if (!poll)
        return;
    poll->fn = fn;
    poll->arg = arg;
}

void __wrap_poll_close(struct poll *poll)
{
    if (poll && connection == poll)
        connection = NULL;
    free(poll);
}

struct timer *__wrap_timer_new(struct loop *on, timer_fn *fn, void *arg)
{
    struct timer *timer = calloc(1, sizeof *timer);

    CHECK(timer);
    *timer = (struct timer){ .fn = fn, .arg = arg };
    if (on == loop)
        TAILQ_INSERT_TAIL(&timers, timer, entry);
    return timer;
}

void __wrap_timer_set(struct timer *timer, int64_t delay_ms)
{
    timer->due_ms = now_ms + (delay_ms > 0 ? delay_ms : 0);
    timer->armed = true;
}

void __wrap_timer_stop(struct timer *timer)
{
    timer->armed = false;
}

void __wrap_timer_close(struct timer *timer)
{
    struct timer *mine;

    TAILQ_FOREACH (mine, &timers, entry)
        if (mine == timer)
            break;
    if (mine)
        TAILQ_REMOVE(&timers, mine, entry);
    free(timer);
}

int64_t __wrap_loop_now_ms(const struct loop *of)
{
    (void)of;
    return now_ms;
}

static void add_task(struct task what)
{
    struct task *task = calloc(1, sizeof *task);

    CHECK(task);
    *task = what;
    STAILQ_INSERT_TAIL(&tasks, task, entry);
}

bool __wrap_loop_post(struct loop *to, void (*fn)(void *arg), void *arg)
{
    if (to != loop)
        return __real_loop_post(to, fn, arg);
    add_task((struct task){ .fn = fn, .arg = arg });
    return true;
}

bool __wrap_loop_job(struct loop *on, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    CHECK(on == loop);
    add_task((struct task){ .work = work, .fn = done, .arg = arg });
    return true;
}

struct loop_message *__wrap_loop_message_new(void (*fn)(void *arg), void *arg)
{
    struct loop_message *message = calloc(1, sizeof *message);

    CHECK(message);
    *message = (struct loop_message){ fn, arg };
    return message;
}

void __wrap_loop_message_free(struct loop_message *message)
{
    free(message);
}

void __wrap_loop_send(struct loop *to, struct loop_message *message)
{
    CHECK(__wrap_loop_post(to, message->fn, message->arg));
    free(message);
}

/* ---- the kernel ---- */

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    size_t n = input.n < size ? input.n : size;

    if (fd != MEMORY_FD)
        return __real_recv(fd, data, size, flags);
    if (n == 0) {
        end_told = input_ends;
        errno = EAGAIN;
        return input_ends ? 0 : -1;
    }
    memcpy(data, input.p, n);
    input = bytes_from(input, n);
    return (ssize_t)n;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    if (fd != MEMORY_FD)
        return __real_send(fd, data, size, flags);
    if (!buf_append(&sent, bytes_of(data, size)))
        buf_reset(&sent); /* nobody looks at so much */
    return (ssize_t)size;
}
