#include "gate/steward/asks.h"

#include "base/check.h"
#include "base/env.h"
#include "base/form.h"
#include "base/log.h"
#include "net/loop.h"

#include <stdlib.h>

enum {
    WAITING_MAX = 1024,
    ANSWER_MS = 2000, /* for the whole answer */
    DETAILS_MAX = 1024
};

/* One that is not answered yet. */
struct ask {
    uint32_t number;
    int64_t until_ms;
    struct elder_listener listener;
    TAILQ_ENTRY(ask) entry;
};

struct asks {
    const struct env *env;
    struct loop *loop;
    const struct link *link;
    struct timer *timer;
    uint32_t last;
    size_t n;
    bool silent;
    TAILQ_HEAD(, ask) waiting; /* the oldest first */
};

static void end_ask(struct asks *a, struct ask *ask)
{
    const struct elder_listener listener = ask->listener;

    TAILQ_REMOVE(&a->waiting, ask, entry);
    a->n--;
    free(ask);
    listener.done(listener.arg);
}

static void end_all_asks(struct asks *a)
{
    struct ask *ask;

    a->silent = true;
    while ((ask = TAILQ_FIRST(&a->waiting)) != NULL)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow TAILQ_REMOVE */
        end_ask(a, ask);
}

static void wait_for_oldest(struct asks *a)
{
    const struct ask *oldest = TAILQ_FIRST(&a->waiting);

    if (oldest)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it does not follow TAILQ_REMOVE */
        timer_set(a->timer, oldest->until_ms - loop_now_ms(a->loop));
    else
        timer_stop(a->timer);
}

static void asks_on_timer(void *arg)
{
    struct asks *a = arg;
    struct log_line line;

    log_begin(&line, a->env, SEV_WARNING, "elder_silent");
    log_c(&line, "message", "a process before the upgrade does not answer: its sessions are not shown");
    log_end(&line);
    end_all_asks(a);
}

struct asks *asks_new(const struct gate_shared *shared, const struct link *link)
{
    struct asks *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    /* The link may have been another process's, whose answers are still to come: they have other numbers. */
    *a = (struct asks){ .env = shared->env,
                        .loop = shared->steward,
                        .link = link,
                        .last = atomic_load(&shared->generation) << 16 };
    TAILQ_INIT(&a->waiting);
    a->timer = timer_new(shared->steward, asks_on_timer, a);
    if (a->timer)
        return a;
    free(a);
    return NULL;
}

static bool send_ask(const struct asks *a, uint32_t number, enum elder_question what, struct bytes details)
{
    AUTO(buf) struct buf packet = BUF_INIT(DETAILS_MAX);
    struct form f = form_to(&packet);
    char kind = (char)what;

    form_u32(&f, &number);
    form_char(&f, &kind);
    form_raw(&f, (void *)(uintptr_t)details.p, details.n);
    return form_end(&f) == OK && link_send(a->link, LINK_ASK, buf_bytes(&packet), NULL);
}

bool asks_put(struct asks *a, enum elder_question what, struct bytes details,
              const struct elder_listener *listener)
{
    struct ask *ask = a->n < WAITING_MAX && !a->silent ? malloc(sizeof *ask) : NULL;

    if (!ask)
        return false;
    if (!send_ask(a, a->last + 1, what, details)) {
        free(ask);
        return false;
    }
    *ask = (struct ask){ .number = ++a->last,
                         .until_ms = loop_now_ms(a->loop) + ANSWER_MS,
                         .listener = *listener };
    TAILQ_INSERT_TAIL(&a->waiting, ask, entry);
    if (a->n++ == 0)
        wait_for_oldest(a);
    return true;
}

/* One that was answered too late, or was another process's, is not there any more. */
static struct ask *find_ask(const struct asks *a, uint32_t number)
{
    struct ask *ask;

    TAILQ_FOREACH (ask, &a->waiting, entry)
        if (ask->number == number)
            break;
    return ask;
}

bool asks_hear(struct asks *a, const struct os_packet *packet)
{
    struct form f = form_from(packet->data, NULL);
    uint32_t number;
    bool sound = true;

    a->silent = false;
    if (packet->type != LINK_TOLD && packet->type != LINK_TOLD_END)
        return true;
    form_u32(&f, &number);
    struct ask *ask = form_ok(&f) ? find_ask(a, number) : NULL;
    if (packet->type == LINK_TOLD_END)
        sound = form_end(&f) == OK;
    else if (ask)
        sound = ask->listener.take(ask->listener.arg, f.in.left);
    if (ask && (!sound || packet->type == LINK_TOLD_END)) {
        end_ask(a, ask);
        wait_for_oldest(a);
    }
    return sound && form_ok(&f);
}

void asks_end(struct asks *a)
{
    if (!a)
        return;
    end_all_asks(a);
    timer_close(a->timer);
    free(a);
}
