/*
 * The old gate of an upgrade.
 *
 * The successor is given what it needs to load and to listen, and says when it is prepared: until then nothing has changed
 * here. Then comes what moves. When it has all of it, this gate commits itself: it gives up what it has handed over, tells the
 * parent, and tells the successor, in this order. Until then whatever goes wrong ends the upgrade, and this gate serves on.
 */
#include "gate/steward/handover.h"

#include "base/log.h"
#include "conf/settings.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker_thread.h"
#include "gate/steward/legacy.h"
#include "gate/steward/link.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/stop.h"
#include "net/loop.h"
#include "os/family.h"
#include "os/parent.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FORMAT_MS = 30 * 1000,   /* to start and to say of which form it is */
    TELL_MS = 5000,          /* for a packet that nobody takes */
    PREPARE_MS = 110 * 1000, /* to load everything; the parent has patience for a little longer */
    MOVE_MS = 2000           /* from the first that moves to COMMIT */
};

enum handover_step {
    HANDOVER_FORMAT,  /* the successor has not said of which form it is */
    HANDOVER_PREPARE, /* it loads */
    HANDOVER_MOVE,    /* it is told what moves, and has not said that it has it */
    HANDOVER_DONE     /* it is the gate */
};

struct handover {
    struct gate *gate;
    struct link link;
    struct poll *poll;
    struct timer *timer;
    enum handover_step step;
};

static void handover_close(struct gate *g)
{
    struct handover *h = g->handover;

    if (!h)
        return;
    g->handover = NULL;
    poll_close(h->poll);
    timer_close(h->timer);
    (void)close(h->link.fd);
    free(h);
}

static void abandon(struct handover *h, const char *why)
{
    struct gate *g = h->gate;
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "upgrade_abandoned");
    log_c(&line, "message", why);
    log_end(&line);
    handover_close(g);
    parent_tell(g->params->ties.line, PARENT_ABANDONED, why);
}

static void handover_on_timer(void *arg)
{
    abandon(arg, "the new program did not answer in time");
}

static void enter(struct handover *h, enum handover_step step, int64_t limit_ms)
{
    h->step = step;
    timer_set(h->timer, limit_ms);
    link_set_limit(&h->link, TELL_MS);
}

/* ---- what moves ---- */

static void move(struct handover *h)
{
    enter(h, HANDOVER_MOVE, MOVE_MS);
    if (!link_send(&h->link, LINK_END, bytes_of("", 0), NULL))
        abandon(h, "the new program ended before it took over");
}

/* The last was written to the directory, and the lock is closed: it is the successor's. */
static void handover_written(struct gate *g)
{
    const struct handover *h = g->handover;

    if (h)
        (void)!link_send(&h->link, LINK_WRITTEN, bytes_of("", 0), NULL);
}

static void commit(struct handover *h)
{
    struct gate *g = h->gate;
    char text[64];

    (void)snprintf(text, sizeof text, "0 %ld",
                   atomic_load_explicit(&g->shared.connections, memory_order_relaxed));
    parent_tell(g->params->ties.line, PARENT_COMMITTED, text);
    h->step = HANDOVER_DONE;
    timer_stop(h->timer);
    (void)!link_send(&h->link, LINK_COMMIT, bytes_of("", 0), NULL); /* the parent sees if it has died */
    gate_log(g->env, SEV_LOG, "handed_over", "another process serves from now on");
    g->released = handover_written;
    stop_leave(g);
}

/* ---- what the successor says ---- */

static void on_format(struct handover *h, const struct os_packet *packet)
{
    uint32_t format = 0;
    char text[128];
    struct err e;

    if (packet->data.n == sizeof format)
        memcpy(&format, packet->data.p, sizeof format);
    if (format != FAMILY_FORMAT) {
        (void)snprintf(text, sizeof text,
                       "the new program has hand-over format %u, the running one has %d: a restart is needed",
                       format, FAMILY_FORMAT);
        abandon(h, text);
        return;
    }
    link_set_limit(&h->link, TELL_MS);
    if (legacy_send(h->gate, &h->link, &e) != OK)
        abandon(h, e.message);
    else
        enter(h, HANDOVER_PREPARE, PREPARE_MS);
}

static void take_word(struct handover *h, const struct os_packet *packet, const char *text)
{
    if (packet->type == LINK_FORMAT && h->step == HANDOVER_FORMAT)
        on_format(h, packet);
    else if (packet->type == LINK_PREPARED && h->step == HANDOVER_PREPARE)
        move(h);
    else if (packet->type == LINK_READY && h->step == HANDOVER_MOVE)
        commit(h);
    else if (packet->type == LINK_CANNOT && h->step != HANDOVER_DONE)
        abandon(h, text);
    else if (h->step != HANDOVER_DONE)
        abandon(h, "the new program sent something else than expected");
}

static void handover_on_link(void *arg, unsigned events)
{
    struct handover *h = arg;
    char room[1024];
    struct os_packet packet;

    (void)events;
    switch (os_packet_receive(h->link.fd, room, sizeof room, &packet, false)) {
    case OS_PACKET_NONE:
        return;
    case OS_PACKET_END:
        if (h->step == HANDOVER_DONE)
            handover_close(h->gate);
        else
            abandon(h, "the new program ended before it took over");
        return;
    case OS_PACKET_GOT:
        break;
    }
    os_packet_close(&packet);
    take_word(h, &packet, room);
}

/* ---- orders ---- */

static void handover_begin(struct gate *g, int link)
{
    struct handover *h = calloc(1, sizeof *h);

    if (!h || g->handover || g->draining || g->leaving || gate_is_over(g)) {
        parent_tell(g->params->ties.line, PARENT_ABANDONED, h ? "the gate is stopping" : "out of memory");
        free(h);
        (void)close(link);
        return;
    }
    g->handover = h;
    *h = (struct handover){ .gate = g, .link = { .fd = link, .env = g->env } };
    h->timer = timer_new(g->loop, handover_on_timer, h);
    h->poll = poll_new(g->loop, link, handover_on_link, h);
    if (!h->timer || !h->poll) {
        handover_close(g);
        parent_tell(g->params->ties.line, PARENT_ABANDONED, "out of memory");
        return;
    }
    poll_set(h->poll, POLL_READ);
    enter(h, HANDOVER_FORMAT, FORMAT_MS);
    gate_log(g->env, SEV_LOG, "upgrade", "a new program is to take over");
}

static void on_orders(void *arg, unsigned events)
{
    struct gate *g = arg;
    int link = -1;

    (void)events;
    switch (parent_ordered(g->params->ties.orders, &link)) {
    case PARENT_NOTHING:
        break;
    case PARENT_UPGRADE:
        handover_begin(g, link);
        break;
    case PARENT_GIVE_UP:
        if (g->handover && g->handover->step != HANDOVER_DONE)
            abandon(g->handover, "");
        else if (!g->handover)
            parent_tell(g->params->ties.line, PARENT_ABANDONED, "");
        break;
    case PARENT_GONE:
        poll_set(g->orders, 0);
        break;
    }
}

enum code handover_start(struct gate *g)
{
    if (g->params->ties.orders < 0)
        return OK;
    g->orders = poll_new(g->loop, g->params->ties.orders, on_orders, g);
    if (!g->orders)
        return E_NOMEM;
    poll_set(g->orders, POLL_READ);
    return OK;
}

void handover_stop(struct gate *g)
{
    if (g->handover && g->handover->step != HANDOVER_DONE)
        abandon(g->handover, "the gate is stopping");
}

void handover_free(struct gate *g)
{
    handover_close(g);
    poll_close(g->orders);
}
