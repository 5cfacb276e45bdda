/* A socket to the clerk, and patience that ends. */
#include "gate/work/clerk_link.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "os/parent.h"
#include "pgwire/msg.h"
#include "sql/stop.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    GRACE_US = 500 * 1000,        /* after the time at which a clerk stops by itself */
    CANCEL_GRACE_US = 250 * 1000, /* for a clerk that was told to stop */
    READ_STEP = 64 * 1024
};

struct clerk_link {
    const struct env *env;
    int parent;
    int wake;            /* an eventfd: look at `canceled` and `stopping` */
    int fd;              /* -1: no clerk */
    uint64_t generation; /* of the last one; from 1 */
    struct buf in;       /* the answer under way */
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards `forgotten` */
    struct clerk_open *forgotten;
};

/* A question under way. */
struct asking {
    struct clerk_link *link;
    const struct clerk_call *call;
    int64_t until_us; /* then the clerk is killed */
    bool told;        /* to stop */
};

struct clerk_link *clerk_link_new(int parent, const struct env *env)
{
    struct clerk_link *link = calloc(1, sizeof *link);

    if (!link)
        return NULL;
    *link = (struct clerk_link){ .env = env, .parent = parent, .fd = -1 };
    buf_init(&link->in, (size_t)CLERK_REPLY_MAX + CLERK_HEADER);
    (void)pthread_mutex_init(&link->lock, NULL);
    link->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (link->wake >= 0)
        return link;
    clerk_link_free(link);
    return NULL;
}

static void wake(void *ctx)
{
    const struct clerk_link *link = ctx;
    const uint64_t one = 1;

    if (write(link->wake, &one, sizeof one) < 0 && errno != EAGAIN)
        abort(); /* an eventfd of ours */
}

void clerk_link_stop(struct clerk_link *link)
{
    if (!link)
        return;
    atomic_store(&link->stopping, true);
    wake(link);
}

/* ---- statements that nobody goes on with ---- */

static void clerk_link_forget(void *ctx, struct clerk_open *open)
{
    struct clerk_link *link = ctx;

    (void)pthread_mutex_lock(&link->lock);
    open->next = link->forgotten;
    link->forgotten = open;
    (void)pthread_mutex_unlock(&link->lock);
}

static struct clerk_open *take_forgotten(struct clerk_link *link)
{
    (void)pthread_mutex_lock(&link->lock);
    struct clerk_open *first = link->forgotten;
    link->forgotten = NULL;
    (void)pthread_mutex_unlock(&link->lock);
    return first;
}

void clerk_link_free(struct clerk_link *link)
{
    if (!link)
        return;
    for (struct clerk_open *open = take_forgotten(link), *next; open; open = next) {
        next = open->next;
        free(open);
    }
    if (link->fd >= 0)
        (void)close(link->fd);
    if (link->wake >= 0)
        (void)close(link->wake);
    buf_fini(&link->in);
    (void)pthread_mutex_destroy(&link->lock);
    free(link);
}

/* ---- clerks come and go ---- */

static void hang_up(struct clerk_link *link, const char *why)
{
    struct log_line line;

    if (link->fd < 0)
        return;
    (void)close(link->fd);
    link->fd = -1;
    parent_end_clerk(link->parent);
    if (atomic_load(&link->stopping))
        return;
    log_begin(&line, link->env, SEV_LOG, "clerk_replaced");
    log_c(&line, "message", why);
    log_end(&line);
}

static enum code lost(struct clerk_link *link, struct err *e)
{
    hang_up(link, "the process that runs statements has ended");
    (void)err_set(e, E_BAD_STATE, "lost the process that ran the statement");
    err_detail(e, "It was killed, or exceeded its memory limit.");
    return E_BAD_STATE;
}

static enum code makes_no_sense(struct clerk_link *link, struct err *e)
{
    hang_up(link, "the process that runs statements sent a message that is not allowed");
    return err_set(e, E_BAD_STATE, "the process that ran the statement gave an invalid answer");
}

/* Of an answer that is left half read nothing can be made. */
static enum code clerk_link_no_memory(struct clerk_link *link, struct err *e)
{
    hang_up(link, "out of memory for a message of the process that runs statements");
    return err_set(e, E_NOMEM, "out of memory");
}

static void distrust(void *ctx)
{
    hang_up(ctx, "the process that runs statements gave an invalid answer");
}

/* There is one, and it has not said anything without being asked. */
static bool is_alive(struct clerk_link *link)
{
    struct pollfd quiet = { .fd = link->fd, .events = POLLIN };

    if (link->fd >= 0 && poll(&quiet, 1, 0) != 0)
        hang_up(link, "the process that runs statements has ended");
    return link->fd >= 0;
}

static enum code start(struct clerk_link *link, struct err *e)
{
    if (is_alive(link))
        return OK;
    TRY(parent_clerk(link->parent, &link->fd, e));
    link->generation++;
    return OK;
}

void clerk_link_start(struct clerk_link *link)
{
    struct err why;
    struct log_line line;

    if (link->parent < 0 || start(link, &why) == OK)
        return;
    log_begin(&line, link->env, SEV_WARNING, "clerk_not_started");
    log_err(&line, &why);
    log_end(&line);
}

/* ---- waiting ---- */

static bool is_canceled(const struct asking *a)
{
    return a->call->canceled && atomic_load(a->call->canceled);
}

static enum code too_late(struct asking *a, struct err *e)
{
    hang_up(a->link, "a statement exceeded its time limit");
    if (is_canceled(a))
        return statement_stopped(STOP_USER, e);
    return statement_stopped(a->call->timeout_ms > 0 ? STOP_TIMEOUT : STOP_LIMIT, e);
}

/* within: a frame of ours is half sent, and nothing can be said. */
static void tell_to_stop(struct asking *a, bool within)
{
    static const uint8_t frame[CLERK_HEADER] = { CLERK_CANCEL, 0, 0, 0, 4 };
    int64_t until_us = env_mono_us(a->link->env) + CANCEL_GRACE_US;

    a->told = true;
    if (until_us < a->until_us)
        a->until_us = until_us;
    if (!within && send(a->link->fd, frame, sizeof frame, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof frame)
        a->until_us = 0; /* it does not even read */
}

/* Until the socket is ready for `events`. */
static enum code await(struct asking *a, short events, struct err *e)
{
    struct clerk_link *link = a->link;

    for (;;) {
        struct pollfd polls[] = { { .fd = link->fd, .events = events },
                                  { .fd = link->wake, .events = POLLIN } };
        uint64_t count;
        if (atomic_load(&link->stopping)) {
            hang_up(link, "the gate is stopping");
            return err_set(e, E_SHUTDOWN, "terminating connection due to administrator command");
        }
        if (is_canceled(a) && !a->told)
            tell_to_stop(a, events == POLLOUT);
        int64_t left_us = a->until_us - env_mono_us(link->env);
        if (left_us <= 0)
            return too_late(a, e);
        int ready = poll(polls, COUNT_OF(polls), (int)(left_us / 1000) + 1);
        if (polls[1].revents != 0 && read(link->wake, &count, sizeof count) < 0 && errno != EAGAIN)
            return lost(link, e);
        if (ready > 0 && polls[0].revents != 0)
            return OK;
    }
}

static enum code send_all(struct asking *a, struct bytes data, struct err *e)
{
    while (data.n > 0) {
        ssize_t sent = send(a->link->fd, data.p, data.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) {
            TRY(await(a, POLLOUT, e));
            continue;
        }
        if (sent < 0 && errno != EINTR)
            return lost(a->link, e);
        data = bytes_from(data, sent > 0 ? (size_t)sent : 0);
    }
    return OK;
}

/* Memory grows with what has come, not with what is announced. */
static enum code receive_some(struct asking *a, struct err *e)
{
    struct buf *in = &a->link->in;

    if (!buf_reserve(in, READ_STEP))
        return clerk_link_no_memory(a->link, e);
    ssize_t got = recv(a->link->fd, in->p + in->n, READ_STEP, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return await(a, POLLIN, e);
    if (got <= 0)
        return lost(a->link, e);
    in->n += (size_t)got;
    return OK;
}

/* One whole frame, and nothing after it. */
static enum code receive_frame(struct asking *a, struct msg *out, struct err *e)
{
    struct clerk_link *link = a->link;
    size_t used;

    buf_reset(&link->in);
    for (;;) {
        enum code code = msg_next(buf_bytes(&link->in), CLERK_REPLY_MAX, out, &used);
        if (code == OK)
            return used == link->in.n ? OK : makes_no_sense(link, e);
        if (code != E_MORE)
            return makes_no_sense(link, e);
        TRY(receive_some(a, e));
    }
}

/* ---- asking ---- */

/* The time that an action takes is not the statement's. */
static enum code do_action(struct asking *a, struct bytes body, struct err *e)
{
    AUTO(buf) struct buf answer = BUF_INIT(CLERK_HEADER + sizeof(struct err) + 64);
    int64_t began_us = env_mono_us(a->link->env);
    struct clerk_action action;
    struct clerk_acted acted;

    if (!a->call->self || !clerk_read_action(body, &action))
        return makes_no_sense(a->link, e);
    clerk_act(a->call->self, &action, &acted);
    clerk_acted_frame(&answer, &acted);
    a->until_us += env_mono_us(a->link->env) - began_us;
    return buf_ok(&answer) ? send_all(a, buf_bytes(&answer), e) : clerk_link_no_memory(a->link, e);
}

struct __attribute__((packed)) forget_frame {
    char type;
    uint32_t length;
    uint64_t id;
};

/* Statements that ended before their rows did hold memory there: first of all they go. */
static enum code tell_forgotten(struct asking *a, struct err *e)
{
    struct forget_frame frame = { .type = CLERK_FORGET, .length = htobe32(sizeof frame - 1) };
    struct clerk_open *next;
    enum code code = OK;

    for (struct clerk_open *open = take_forgotten(a->link); open; open = next) {
        next = open->next;
        frame.id = htobe64(open->id);
        if (code == OK && open->generation == a->link->generation)
            code = send_all(a, bytes_of(&frame, sizeof frame), e);
        free(open);
    }
    return code;
}

static enum code exchange(struct asking *a, struct msg *out, struct err *e)
{
    TRY(tell_forgotten(a, e));
    TRY(send_all(a, a->call->request, e));
    TRY(receive_frame(a, out, e));
    while (out->type == CLERK_ACT) {
        TRY(do_action(a, out->body, e));
        TRY(receive_frame(a, out, e));
    }
    return OK;
}

static enum code clerk_link_ask(void *ctx, struct clerk_call *call, char *out_type, struct bytes *out_body,
                                struct err *e)
{
    struct clerk_link *link = ctx;
    struct asking a = { .link = link,
                        .call = call,
                        .until_us = env_mono_us(link->env) + call->budget_us + GRACE_US };
    struct msg answer;

    if (atomic_load(&link->stopping))
        return err_set(e, E_SHUTDOWN, "terminating connection due to administrator command");
    if (call->generation != 0 && (!is_alive(link) || call->generation != link->generation))
        return err_set(e, E_CURSOR_NAME, "%s", code_text(E_CURSOR_NAME));
    TRY(start(link, e));
    call->generation = link->generation;
    TRY(exchange(&a, &answer, e));
    *out_type = answer.type;
    *out_body = answer.body;
    return OK;
}

struct clerk_line clerk_link_line(struct clerk_link *link)
{
    return (struct clerk_line){
        .ctx = link, .ask = clerk_link_ask, .forget = clerk_link_forget, .wake = wake, .distrust = distrust
    };
}
