/*
 * The old gate of an upgrade.
 *
 * The successor is given what it needs to load and to listen, and says when it is prepared: until then nothing has changed
 * here. Then comes what moves. When it has all of it, this gate commits itself: it gives up what it has handed over, tells the
 * parent, and tells the successor, in this order. Until then whatever goes wrong ends the upgrade, and this gate serves on.
 */
#include "gate/steward/handover.h"

#include "base/count.h"
#include "base/env.h"
#include "base/log.h"
#include "gate/session/convoy.h"
#include "gate/session/pack.h"
#include "gate/steward/answers.h"
#include "gate/steward/elders.h"
#include "gate/steward/figures.h"
#include "gate/steward/legacy.h"
#include "gate/steward/passes.h"
#include "gate/steward/steward_log.h"
#include "gate/steward/stop.h"
#include "gate/work/link.h"
#include "net/loop.h"
#include "os/family.h"
#include "os/parent.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FORMAT_MS = 30 * 1000,   /* to start and to say of which form it is */
    TELL_MS = 5000,          /* for a packet that nobody takes */
    PREPARE_MS = 110 * 1000, /* to load everything; the parent has patience for a little longer */
    LAST_MS = 1000,          /* for what is told at the very end */
    MOVE_MS = 2000           /* from the first that moves to COMMIT */
};

enum handover_step {
    HANDOVER_FORMAT,  /* the successor has not said of which form it is */
    HANDOVER_PREPARE, /* it loads */
    HANDOVER_DEPART,  /* the workers hold their sessions, and send them */
    HANDOVER_MOVE,    /* it was told everything, and has not said that it has it */
    HANDOVER_THAW,    /* it is given up, and the workers let their sessions go on */
    HANDOVER_FORGET,  /* it has everything, and the workers forget it */
    HANDOVER_DONE     /* it is the gate */
};

struct handover {
    struct gate *gate;
    struct link link;
    struct poll *poll;
    struct timer *timer;
    struct timer *pulse; /* while sessions are held: is it alive? */
    unsigned unheard;    /* looks since the last packet */
    struct convoy *convoy;
    struct passes *passes; /* once there is no way back; held until COMMIT */
    struct counters *told; /* what it knows of ours */
    enum handover_step step;
    char why[512];    /* it is given up; empty: it is not */
    int64_t began_us; /* the sessions are held since then */
};

static void handover_close(struct gate *g)
{
    struct handover *h = g->handover;

    if (!h)
        return;
    g->handover = NULL;
    atomic_store(&g->shared.heir, false);
    passes_end(h->passes);
    answers_hush(g->answers);
    counters_free(h->told);
    poll_close(h->poll);
    timer_close(h->timer);
    timer_close(h->pulse);
    convoy_free(h->convoy);
    (void)close(h->link.fd);
    free(h);
}

/* Nothing of it is left. */
static void abandoned(struct handover *h)
{
    struct gate *g = h->gate;
    struct log_line line;
    char why[sizeof h->why];

    memcpy(why, h->why, sizeof why);
    log_begin(&line, g->env, SEV_LOG, "upgrade_abandoned");
    log_c(&line, "message", why);
    log_end(&line);
    handover_close(g);
    parent_tell(g->params->ties.line, PARENT_ABANDONED, why);
}

static void abandon(struct handover *h, const char *why)
{
    if (h->step >= HANDOVER_THAW)
        return; /* it is given up already, or too late for that */
    if (!h->why[0])
        (void)snprintf(h->why, sizeof h->why, "%s", why);
    poll_set(h->poll, 0);
    timer_stop(h->timer);
    timer_stop(h->pulse);
    if (h->step == HANDOVER_DEPART) { /* when they have stopped, they go on */
        convoy_cancel(h->convoy);
    } else if (h->step == HANDOVER_MOVE) {
        h->step = HANDOVER_THAW;
        convoy_thaw(h->convoy);
    } else {
        abandoned(h);
    }
}

static void handover_on_timer(void *arg)
{
    abandon(arg, "the new program did not answer in time");
}

static void handover_on_pulse(void *arg)
{
    struct handover *h = arg;

    if (++h->unheard > LINK_BEATS_MISSED)
        abandon(h, "the new program stopped while it took the sessions over");
    else
        timer_set(h->pulse, LINK_BEAT_MS);
}

static void enter(struct handover *h, enum handover_step step, int64_t limit_ms)
{
    h->step = step;
    timer_set(h->timer, limit_ms);
    link_set_limit(&h->link, TELL_MS);
}

/* ---- what moves ---- */

/* The last was written to the directory, and the lock is closed: it is the successor's. */
static void handover_written(struct gate *g)
{
    const struct handover *h = g->handover;

    if (h)
        (void)!link_send(&h->link, LINK_WRITTEN, bytes_of("", 0), NULL);
}

static void log_stay(void *arg, const char *why, unsigned n)
{
    const struct gate *g = arg;
    struct log_line line;

    log_begin(&line, g->env, SEV_LOG, "sessions_stay");
    log_c(&line, "message", "sessions stay with the process before the upgrade until they end");
    log_c(&line, "reason", why);
    log_int(&line, "count", n);
    log_end(&line);
}

static void commit(struct handover *h)
{
    struct gate *g = h->gate;
    struct convoy_counts counts = convoy_counts(h->convoy);
    long long paused_ms = (long long)(env_mono_us(g->env) - h->began_us) / 1000;
    struct log_line line;
    char text[64];

    (void)snprintf(text, sizeof text, "%u %u %lld", counts.moved, counts.stayed, paused_ms);
    parent_tell(g->params->ties.line, PARENT_COMMITTED, text);
    h->step = HANDOVER_DONE;
    (void)!link_send(&h->link, LINK_COMMIT, bytes_of("", 0), NULL); /* the parent sees if it has died */
    log_begin(&line, g->env, SEV_LOG, "handed_over");
    log_c(&line, "message", "another process serves from now on");
    log_int(&line, "moved", counts.moved);
    log_int(&line, "left", counts.stayed);
    log_int(&line, "held_ms", paused_ms);
    log_end(&line);
    convoy_stays(h->convoy, log_stay, g);
    passes_release(h->passes);
    g->answers = answers_new(g, h->told); /* without memory it is asked in vain */
    elders_leave(g);
    g->released = handover_written;
    stop_leave(g);
}

/* Behind the last of the sessions. */
static bool tell_rest(const struct handover *h)
{
    struct gate_shared *shared = &h->gate->shared;
    const struct link_end end = { .session_ids = atomic_load(&shared->session_ids),
                                  .sessions = convoy_counts(h->convoy).moved,
                                  .console_pid = atomic_load(&shared->console_pid) };

    return figures_send(h->gate, &h->link, h->told) &&
           link_send(&h->link, LINK_END, bytes_of(&end, sizeof end), NULL);
}

static void on_departed(struct handover *h)
{
    bool failed = convoy_counts(h->convoy).failed;

    h->step = HANDOVER_MOVE;
    if (failed || !tell_rest(h))
        abandon(h, "the new program did not take the sessions");
}

/* On the steward: all workers have taken the step. */
static void on_round(void *arg)
{
    struct handover *h = arg;

    switch (h->step) {
    case HANDOVER_DEPART:
        on_departed(h);
        break;
    case HANDOVER_THAW:
        abandoned(h);
        break;
    case HANDOVER_FORGET:
        commit(h);
        break;
    case HANDOVER_FORMAT:
    case HANDOVER_PREPARE:
    case HANDOVER_MOVE:
    case HANDOVER_DONE:
        break;
    }
}

static void move(struct handover *h)
{
    enter(h, HANDOVER_DEPART, MOVE_MS);
    link_set_limit(&h->link, MOVE_MS);
    h->link.stall_ms = LINK_STALL_MS;
    h->unheard = 0;
    timer_set(h->pulse, LINK_BEAT_MS);
    h->began_us = env_mono_us(h->gate->env);
    convoy_depart(h->convoy);
}

/* From here on there is no way back. */
static void forget(struct handover *h)
{
    timer_stop(h->timer);
    timer_stop(h->pulse);
    h->step = HANDOVER_FORGET;
    h->link.stall_ms = 0;
    link_set_limit(&h->link, TELL_MS);
    /* Who asks for a session that was just forgotten asks the one that is about to have it. */
    h->passes = passes_new(&h->gate->shared, &h->link, true);
    atomic_store(&h->gate->shared.heir, h->passes != NULL);
    convoy_forget(h->convoy);
}

/* ---- what the successor says ---- */

static void on_format(struct handover *h, const struct os_packet *packet)
{
    struct link_forms forms = { 0 };
    char text[128];
    struct err e;

    if (packet->data.n == sizeof forms)
        memcpy(&forms, packet->data.p, sizeof forms);
    if (forms.family != FAMILY_FORMAT || forms.pack != PACK_FORMAT) {
        (void)snprintf(
            text, sizeof text,
            "the new program has hand-over format %u.%u, the running one has %d.%d: a restart is needed",
            forms.family, forms.pack, FAMILY_FORMAT, PACK_FORMAT);
        abandon(h, text);
        return;
    }
    link_set_limit(&h->link, TELL_MS);
    if (legacy_send(h->gate, &h->link, &e) != OK)
        abandon(h, e.message);
    else
        enter(h, HANDOVER_PREPARE, PREPARE_MS);
}

bool handover_ask(struct gate *g, const struct cancel_request *request, cancel_answered *answered, void *arg)
{
    struct handover *h = g->handover;

    if (!h || !h->passes)
        return false;
    link_set_limit(&h->link, TELL_MS);
    return passes_ask(h->passes, request, answered, arg);
}

static void take_word(struct handover *h, const struct os_packet *packet, const char *text)
{
    if (h->passes && (packet->type == LINK_CANCEL || packet->type == LINK_CANCELED)) {
        link_set_limit(&h->link, TELL_MS);
        (void)!passes_take(h->passes, packet);
        return;
    }
    if (h->step == HANDOVER_DONE) {
        if (packet->type == LINK_ASK && h->gate->answers)
            (void)!answers_take(h->gate->answers, &h->link, packet);
        return;
    }
    if (packet->type == LINK_FORMAT && h->step == HANDOVER_FORMAT)
        on_format(h, packet);
    else if (packet->type == LINK_PREPARED && h->step == HANDOVER_PREPARE)
        move(h);
    else if (packet->type == LINK_READY && h->step == HANDOVER_MOVE)
        forget(h);
    else if (packet->type == LINK_CANNOT)
        abandon(h, text);
    else if (packet->type == LINK_ALIVE && (h->step == HANDOVER_DEPART || h->step == HANDOVER_MOVE))
        return;
    else
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
    case OS_PACKET_FULL:
    case OS_PACKET_END:
        if (h->step == HANDOVER_DONE)
            handover_close(h->gate);
        else if (h->step == HANDOVER_FORGET)
            poll_set(h->poll, 0);
        else
            abandon(h, "the new program ended before it took over");
        return;
    case OS_PACKET_GOT:
        break;
    }
    os_packet_close(&packet);
    h->unheard = 0;
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
    h->pulse = timer_new(g->loop, handover_on_pulse, h);
    h->poll = poll_new(g->loop, link, handover_on_link, h);
    h->convoy = convoy_new(&g->shared, &h->link, on_round, h);
    h->told = counters_new(FIGURES_CELLS_MAX);
    if (!h->timer || !h->pulse || !h->poll || !h->convoy || !h->told) {
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
        if (g->handover)
            abandon(g->handover, "");
        else
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
    if (g->handover)
        abandon(g->handover, "the gate is stopping");
}

void handover_free(struct gate *g)
{
    struct handover *h = g->handover;

    if (h && h->step == HANDOVER_DONE) {
        link_set_limit(&h->link, LAST_MS);
        (void)!figures_tell_more(g, &h->link, h->told, false);
    }
    handover_close(g);
    poll_close(g->orders);
}
