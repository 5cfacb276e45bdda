/*
 * The order of the rooms.
 *
 * A session's state is written in one place, enter_state(), which checks the arrow against states.def.
 * Reading, sending and deadlines are here; what the bytes mean is the rooms' business. Ends are final:
 * farewell is entered once, and only it frees.
 */
#include "gate/session/walk.h"

#include "base/check.h"
#include "gate/session/admit.h"
#include "gate/session/cancel.h"
#include "gate/session/console.h"
#include "gate/session/farewell.h"
#include "gate/session/greet.h"
#include "gate/session/limit.h"
#include "gate/session/meters.h"
#include "gate/session/pending.h"
#include "gate/session/registry.h"
#include "gate/session/relay.h"
#include "gate/session/roster.h"
#include "gate/session/route.h"
#include "gate/session/seal.h"
#include "gate/session/session.h"
#include "gate/session/startup.h"
#include "gate/session/upstream.h"
#include "gate/session/visit.h"
#include "gate/stats/tally.h"
#include "gate/work/worker.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HURRY_MS = 1000 /* to send a StartupMessage to a gate that is about to end */ };

enum phase { PHASE_NONE, PHASE_START, PHASE_AUTH };

/* ---- what several rooms do alike ---- */

static void leave_login(struct session *s)
{
    upstream_leave(s);
    admit_leave(s);
}

static void leave_console(struct session *s)
{
    console_leave(s);
    leave_login(s);
}

/* Who has not sent a StartupMessage yet. */
static void drain_stranger(struct session *s, bool now)
{
    if (now) {
        session_end(s, PARTING_ABRUPT, NULL); /* [src: PostgreSQL 18, process_startup_packet_die] */
    } else if (!(s->flags & SESSION_LATE)) {
        s->flags |= SESSION_LATE; /* its StartupMessage will be answered: 57P03 */
        roster_owes_less(s->worker);
    }
}

static void drain_login(struct session *s, bool now)
{
    struct err e;

    if (now) {
        err_set(&e, E_SHUTDOWN, "terminating connection due to administrator command");
    } else { /* libpq and its kin try the next host of their list for no other code */
        s->cause = CAUSE_STOPPING;
        err_set(&e, E_UNAVAILABLE, "the database system is shutting down");
    }
    session_end(s, PARTING_FATAL, &e);
}

/* ---- the rooms ---- */

#define TO(name) (1u << STATE_##name)
#define END (1u << STATE_FAREWELL)
#define START PHASE_START
#define AUTH PHASE_AUTH
#define NONE PHASE_NONE
static const struct {
    enum phase phase;
    unsigned arrows;
    enum step (*enter)(struct session *s, struct err *e);
    enum step (*step)(struct session *s, struct err *e);
    void (*leave)(struct session *s);
    void (*drain)(struct session *s, bool now);
    void (*cancel)(struct session *s);
} states[] = {
#define X(name, phase, arrows, enter, step, leave, drain, cancel, waits_for)                                 \
    [STATE_##name] = { phase, arrows, enter, step, leave, drain, cancel },
#include "states.def"
#undef X
};
#undef TO
#undef END
#undef START
#undef AUTH
#undef NONE

static void enter_state(struct session *s, enum state next)
{
    CHECK(states[s->state].arrows & 1u << next);
    s->state = next;
    meters_moved(s);
}

/* ---- ends ---- */

static void end(struct session *s, enum parting parting, const struct err *e)
{
    if (s->state == STATE_FAREWELL)
        return;
    registry_remove(s->worker, s); /* whatever room it is in: nobody finds it any more */
    resolve_cancel(s->resolve);
    s->resolve = NULL;
    if (states[s->state].leave)
        states[s->state].leave(s);
    s->parting = parting;
    enter_state(s, STATE_FAREWELL);
    meters_drained(s, e && e->code == E_SHUTDOWN);
    farewell_enter(s, e);
}

static void drain(struct session *s, bool now)
{
    meters_drains(s);
    s->flags |= SESSION_DRAINING;
    if (now)
        s->flags &= ~(unsigned)SESSION_DUE;
    if (states[s->state].drain)
        states[s->state].drain(s, now);
}

static void cancel(struct session *s)
{
    if (states[s->state].cancel)
        states[s->state].cancel(s);
}

/* ---- deadlines ---- */

static void on_deadline(void *arg)
{
    struct session *s = arg;
    struct err e;

    if (s->state == STATE_FAREWELL) {
        farewell_deadline(s);
        return;
    }
    switch (states[s->state].phase) {
    case PHASE_START:
        session_end(s, PARTING_ABRUPT, NULL);
        return;
    case PHASE_AUTH:
        if (upstream_too_late(s) || admit_too_late(s))
            return;
        err_set(&e, E_CANCELED, "canceling authentication due to timeout");
        session_end(s, PARTING_LOGGED, &e);
        return;
    case PHASE_NONE: /* a cancel request that nobody takes: its timer runs on from START */
        session_end(s, PARTING_SILENT, NULL);
        return;
    }
}

/* ---- the walk ---- */

/* Act on a room's answer, and on the answers of the rooms that follow. */
static void walk(struct session *s, enum step step, struct err *e)
{
    while (step == STEP_DONE) {
        enter_state(s, s->next);
        step = states[s->state].enter(s, e);
    }
    if (s->state == STATE_FAREWELL || s->state == STATE_RELAY)
        return;
    if (step == STEP_FAIL) {
        session_end(s, s->parting, e);
        return;
    }
    if (!session_send(s))
        return;
    stream_set_reading(&s->client,
                       step == STEP_MORE && !(s->flags & SESSION_DEAF) && s->in.n < SESSION_IN_MAX);
}

static void resume(struct session *s)
{
    struct err e = { 0 };

    if (!states[s->state].step)
        return;
    walk(s, states[s->state].step(s, &e), &e);
}

/* ---- input ---- */

/* Bytes, or the end, of a client that is not in relay yet. */
static void take_input(struct session *s)
{
    struct bytes in;
    struct err e;
    bool fits;

    switch (stream_read(&s->client, &in, &e)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        fits = buf_append(&s->in, in);
        stream_wipe(in);
        if (!fits) {
            if (in.n > s->in.limit - s->in.n)
                err_set(&e, E_LIMIT, "too much data before the session was ready");
            else
                err_set(&e, E_NOMEM, "out of memory");
            session_end(s, PARTING_LOGGED, &e);
            return;
        }
        if (stream_over(&s->client))
            s->flags |= SESSION_DEAF;
        break;
    case STREAM_EOF:
        s->flags |= SESSION_DEAF;
        break;
    case STREAM_FAIL:
        if (s->state == STATE_GREET && s->tls.used && s->in.n == 0) {
            seal_log_left(s);
            session_end(s, PARTING_SILENT, NULL);
            return;
        }
        session_end(s, PARTING_LOGGED, &e);
        return;
    }
    session_resume(s);
}

void walk_on_client(void *arg, unsigned events)
{
    struct session *s = arg;

    if (s->state == STATE_FAREWELL) {
        if (events & POLL_WRITE)
            farewell_client_writable(s);
        else
            farewell_client_readable(s);
        return;
    }
    if (events & POLL_WRITE) {
        if (stream_flush(&s->client, NULL) != OK) {
            session_end(s, PARTING_SILENT, NULL);
            return;
        }
        if (s->state == STATE_RELAY)
            relay_client_writable(s);
        else if (s->state == STATE_CONSOLE && !stream_blocked(&s->client))
            session_resume(s);
        return; /* readability is told again */
    }
    if (s->state == STATE_RELAY)
        relay_client_readable(s);
    else if (s->state == STATE_SEAL)
        session_resume(s);
    else
        take_input(s);
}

/* ---- a drain ---- */

bool walk_idle(const struct session *s)
{
    return s->state == STATE_RELAY ? relay_idle(s) : s->state == STATE_CONSOLE && console_room_idle(s);
}

void walk_due(struct session *s)
{
    s->flags |= SESSION_DUE;
    if (s->state == STATE_CONSOLE && console_room_idle(s))
        take_input(s);
    if (s->state != STATE_FAREWELL)
        drain(s, false);
}

/* ---- birth ---- */

static const struct session_walk ways = {
    .resume = resume, .end = end, .drain = drain, .cancel = cancel, .login_over = leave_login
};

static enum origin origin_of(const struct settings *settings, const struct address *peer, bool local)
{
    if (local)
        return ORIGIN_UNIX;
    return settings_proxy_expected(settings, (const struct sockaddr *)&peer->ss) ? ORIGIN_BALANCER
                                                                                 : ORIGIN_TCP;
}

static struct session *session_make(struct worker *worker)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->walk = &ways;
    s->worker = worker;
    s->client.fd = s->server.fd = -1;
    arena_init(&s->arena, SESSION_ARENA_MAX, SESSION_ARENA_FIRST);
    arena_init(&s->scratch, SESSION_SCRATCH_MAX, 1024);
    s->in = BUF_INIT(2 * SESSION_IN_MAX); /* the last read before the pause is never lost */
    s->out = BUF_INIT(SESSION_OUT_MAX);
    return s;
}

struct session *walk_new(struct worker *worker, int fd, const struct address *peer, bool local)
{
    struct session *s = session_make(worker);

    if (!s || stream_open(&s->client, &worker->room, fd, walk_on_client, s) != OK) {
        if (!s)
            (void)close(fd);
        free(s);
        return NULL;
    }
    s->snapshot = snapshot_ref(worker->snapshot);
    s->id = atomic_fetch_add_explicit(&worker->shared->session_ids, 1, memory_order_relaxed) + 1;
    s->peer = *peer;
    s->origin = origin_of(session_settings(s), peer, local);
    s->flags = worker->draining ? SESSION_LATE : 0;
    s->started_us = session_env(s)->now_unix_us(session_env(s)->ctx);
    s->deadline = timer_new(worker->loop, on_deadline, s);
    meters_accepted(s);
    roster_add(worker, s);
    if (!s->deadline || !pending_enter(s)) {
        session_end(s, PARTING_SILENT, NULL);
        return NULL;
    }
    timer_set(s->deadline, (int64_t)session_settings(s)->authentication_timeout_s * 1000);
    if (s->origin != ORIGIN_BALANCER && !limit_begin(s))
        s->flags |= SESSION_TOO_FAST;
    if (s->origin != ORIGIN_BALANCER)
        visit_log_received(s);
    stream_set_reading(&s->client, true);
    return s;
}

struct session *walk_adopt(struct worker *worker)
{
    struct session *s = session_make(worker);

    if (!s)
        return NULL;
    s->deadline = timer_new(worker->loop, on_deadline, s);
    if (!s->deadline) {
        free(s);
        return NULL;
    }
    s->snapshot = snapshot_ref(worker->snapshot);
    s->state = STATE_RELAY;
    s->flags = SESSION_HELD | (worker->draining ? (unsigned)SESSION_LATE : 0);
    return s;
}

void walk_hurry(struct session *s)
{
    if (states[s->state].phase == PHASE_START)
        timer_set(s->deadline, HURRY_MS);
    else
        drain(s, true);
}
