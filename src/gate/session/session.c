/*
 * The order of the rooms.
 *
 * A session's state is written in one place, session_enter(), which checks the arrow against states.def.
 * Reading, sending and deadlines are here; what the bytes mean is the rooms' business. Ends are final:
 * farewell is entered once, and only it frees.
 */
#include "gate/session/session.h"

#include "base/check.h"
#include "base/env.h"
#include "gate/session/pending.h"
#include "gate/session/registry.h"
#include "gate/session/rooms.h"
#include "gate/session/roster.h"
#include "gate/stats/meters.h"
#include "gate/stats/tally.h"
#include "gate/stats/worker.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HURRY_MS = 1000 /* to send a StartupMessage to a gate that is about to end */ };

enum phase { PHASE_NONE, PHASE_START, PHASE_AUTH };

#define TO(name) (1u << STATE_##name)
#define END (1u << STATE_FAREWELL)
#define START PHASE_START
#define AUTH PHASE_AUTH
#define NONE PHASE_NONE
static const struct {
    const char *name;
    enum phase phase;
    unsigned arrows;
} states[] = {
#define X(name, phase, arrows, waits_for) [STATE_##name] = { #name, phase, arrows },
#include "states.def"
#undef X
};
#undef TO
#undef END
#undef START
#undef AUTH
#undef NONE

const char *state_name(enum state state)
{
    return states[state].name;
}

const struct env *session_env(const struct session *s)
{
    return &s->worker->env;
}

const struct settings *session_settings(const struct session *s)
{
    return snapshot_settings(s->snapshot);
}

/* PostgreSQL's line; a gate forks nothing. [src: PostgreSQL 18, log_connections = setup_durations] */
static void log_durations(struct session *s)
{
    struct log_line line;
    char text[160];

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_SETUP_DURATIONS))
        return;
    (void)snprintf(text, sizeof text,
                   "connection ready: setup total=%.3f ms, fork=%.3f ms, authentication=%.3f ms",
                   (double)(s->ready_mono_us - s->began_mono_us) / 1000, 0.0,
                   (double)(s->admitted_mono_us - s->admission_mono_us) / 1000);
    session_log(s, &line, SEV_LOG, "connection_ready");
    log_c(&line, "message", text);
    log_end(&line);
}

void session_ready(struct session *s)
{
    const struct env *env = session_env(s);

    s->ready_us = env->now_unix_us(env->ctx);
    s->ready_mono_us = env_mono_us(env);
    log_durations(s);
}

void session_host(const struct session *s, char *out, size_t size)
{
    address_host(&s->peer, out, size);
}

void session_log(struct session *s, struct log_line *line, enum severity severity, const char *event)
{
    char client[64];

    log_begin(line, session_env(s), severity, event);
    log_int(line, "session", (long long)s->id);
    address_text(&s->peer, client, sizeof client);
    log_c(line, "client", client);
    if (s->balancer) {
        address_text(s->balancer, client, sizeof client);
        log_c(line, "proxy", client);
    }
    if (s->startup.user.n > 0)
        log_str(line, "user", s->startup.user);
    if (s->startup.database.n > 0)
        log_str(line, "database", s->startup.database);
}

void session_log_received(struct session *s)
{
    struct log_line line;

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_RECEIPT))
        return;
    session_log(s, &line, SEV_LOG, "connection_received");
    log_end(&line);
}

void session_log_cause(struct session *s, struct log_line *line, enum cause cause)
{
    if (cause == CAUSE_NONE)
        return;
    session_tally_failure(s, cause);
    log_c(line, "cause", cause_id(cause));
    log_c(line, "likely", cause_text(cause));
    log_c(line, "next", cause_next(cause));
}

enum step session_fail(struct session *s, enum parting parting)
{
    s->parting = parting;
    return STEP_FAIL;
}

enum step session_goto(struct session *s, enum state next)
{
    s->next = next;
    return STEP_DONE;
}

static void session_enter(struct session *s, enum state next)
{
    CHECK(states[s->state].arrows & 1u << next);
    s->state = next;
    meters_moved(s);
}

/* ---- ends ---- */

static void leave_room(struct session *s)
{
    resolve_cancel(s->resolve);
    s->resolve = NULL;
    switch (s->state) {
    case STATE_ADMIT:
    case STATE_ROUTE:
    case STATE_UPSTREAM:
        upstream_leave(s);
        admit_leave(s);
        break;
    case STATE_CANCEL:
        cancel_leave(s);
        break;
    case STATE_RELAY:
        relay_leave(s);
        break;
    case STATE_CONSOLE:
        console_leave(s);
        upstream_leave(s);
        admit_leave(s);
        break;
    case STATE_GREET:
    case STATE_SEAL:
    case STATE_STARTUP:
    case STATE_FAREWELL:
    case STATE_COUNT:
        break;
    }
}

void session_end(struct session *s, enum parting parting, const struct err *e)
{
    if (s->state == STATE_FAREWELL)
        return;
    registry_remove(s->worker, s); /* whatever room it is in: nobody finds it any more */
    leave_room(s);
    s->parting = parting;
    session_enter(s, STATE_FAREWELL);
    farewell_enter(s, e);
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
        err_set(&e, E_CANCELED, "canceling authentication due to timeout");
        session_end(s, PARTING_LOGGED, &e);
        return;
    case PHASE_NONE: /* a cancel request that nobody takes: its timer runs on from START */
        session_end(s, PARTING_SILENT, NULL);
        return;
    }
}

void session_phase_auth(struct session *s)
{
    s->admission_mono_us = env_mono_us(session_env(s));
    timer_set(s->deadline, (int64_t)session_settings(s)->authentication_timeout_s * 1000);
}

void session_phase_none(struct session *s)
{
    timer_stop(s->deadline);
}

/* ---- the walk ---- */

static enum step step_room(struct session *s, struct err *e)
{
    switch (s->state) {
    case STATE_SEAL:
        return seal_step(s, e);
    case STATE_UPSTREAM:
        return upstream_step(s, e);
    case STATE_ADMIT:
        return admit_step(s, e);
    case STATE_GREET:
        return greet_step(s, e);
    case STATE_STARTUP:
        return startup_step(s, e);
    case STATE_CANCEL:
        return cancel_step(s, e);
    case STATE_CONSOLE:
        return console_step(s, e);
    case STATE_ROUTE:
    case STATE_RELAY:
    case STATE_FAREWELL:
    case STATE_COUNT:
        break;
    }
    UNREACHABLE();
}

static enum step enter_room(struct session *s, struct err *e)
{
    switch (s->state) {
    case STATE_SEAL:
        return seal_enter(s, e);
    case STATE_UPSTREAM:
        return upstream_enter(s, e);
    case STATE_ADMIT:
        session_phase_auth(s);
        return step_room(s, e);
    case STATE_ROUTE:
        return route_step(s, e);
    case STATE_GREET:
    case STATE_STARTUP:
    case STATE_CANCEL:
        return step_room(s, e); /* entering is the first step */
    case STATE_RELAY:
        relay_enter(s);
        return STEP_JOB;
    case STATE_CONSOLE:
        return console_enter(s, e);
    case STATE_FAREWELL:
    case STATE_COUNT:
        break;
    }
    UNREACHABLE();
}

bool session_send(struct session *s)
{
    struct err e;

    if (s->state == STATE_FAREWELL)
        return false;
    if (!buf_ok(&s->out)) {
        err_set(&e, E_NOMEM, "out of memory");
        session_end(s, PARTING_LOGGED, &e);
        return false;
    }
    if (s->out.n == 0)
        return true;
    enum code code = stream_write(&s->client, buf_bytes(&s->out), &e);
    buf_fini_secret(&s->out);
    if (code != OK) {
        session_end(s, PARTING_SILENT, NULL);
        return false;
    }
    return true;
}

/* Act on a room's answer, and on the answers of the rooms that follow. */
static void walk(struct session *s, enum step step, struct err *e)
{
    while (step == STEP_DONE) {
        session_enter(s, s->next);
        step = enter_room(s, e);
    }
    if (s->state == STATE_FAREWELL || s->state == STATE_RELAY)
        return;
    if (step == STEP_FAIL) {
        session_end(s, s->parting, e);
        return;
    }
    if (!session_send(s))
        return;
    stream_set_reading(&s->client, step == STEP_MORE && !s->client_ended && s->in.n < SESSION_IN_MAX);
}

void session_resume(struct session *s)
{
    struct err e = { 0 };

    if (s->state == STATE_FAREWELL || s->state == STATE_RELAY)
        return;
    walk(s, step_room(s, &e), &e);
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
                err_set(&e, E_LIMIT, "too much data before the session is ready");
            else
                err_set(&e, E_NOMEM, "out of memory");
            session_end(s, PARTING_LOGGED, &e);
            return;
        }
        s->client_ended = stream_over(&s->client);
        break;
    case STREAM_EOF:
        s->client_ended = true;
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

static void on_client(void *arg, unsigned events)
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

/* ---- birth ---- */

struct session *session_new(struct worker *worker, int fd, const struct address *peer, bool local)
{
    struct session *s = calloc(1, sizeof *s);

    if (!s || stream_open(&s->client, &worker->room, fd, on_client, s) != OK) {
        if (!s)
            (void)close(fd);
        free(s);
        return NULL;
    }
    s->worker = worker;
    s->snapshot = snapshot_ref(worker->snapshot);
    s->id = atomic_fetch_add_explicit(&worker->shared->session_ids, 1, memory_order_relaxed) + 1;
    s->peer = *peer;
    s->local = local;
    s->late = worker->draining;
    s->proxied = !local && settings_proxy_expected(session_settings(s), (const struct sockaddr *)&peer->ss);
    s->server.fd = -1;
    s->started_us = session_env(s)->now_unix_us(session_env(s)->ctx);
    arena_init(&s->arena, SESSION_ARENA_MAX, SESSION_ARENA_FIRST);
    arena_init(&s->scratch, SESSION_SCRATCH_MAX, 1024);
    s->in = BUF_INIT(2 * SESSION_IN_MAX); /* the last read before the pause is never lost */
    s->out = BUF_INIT(SESSION_OUT_MAX);
    s->deadline = timer_new(worker->loop, on_deadline, s);
    meters_accepted(s);
    roster_add(worker, s);
    if (!s->deadline || !pending_enter(s)) {
        session_end(s, PARTING_SILENT, NULL);
        return NULL;
    }
    timer_set(s->deadline, (int64_t)session_settings(s)->authentication_timeout_s * 1000);
    if (!s->proxied)
        session_log_received(s);
    stream_set_reading(&s->client, true);
    return s;
}

void session_hurry(struct session *s)
{
    switch (s->state) {
    case STATE_GREET:
    case STATE_SEAL:
    case STATE_STARTUP:
        timer_set(s->deadline, HURRY_MS);
        return;
    case STATE_ADMIT:
    case STATE_ROUTE:
    case STATE_UPSTREAM:
    case STATE_RELAY:
    case STATE_CONSOLE:
    case STATE_CANCEL:
    case STATE_FAREWELL:
    case STATE_COUNT:
        session_drain(s, true);
        return;
    }
}

void session_drain(struct session *s, bool now)
{
    struct err e;

    s->draining = true;
    switch (s->state) {
    case STATE_GREET:
    case STATE_SEAL:
    case STATE_STARTUP:
        if (now) {
            session_end(s, PARTING_ABRUPT, NULL); /* [src: PostgreSQL 18, process_startup_packet_die] */
        } else if (!s->late) {
            s->late = true; /* its StartupMessage will be answered: 57P03 */
            roster_owes_less(s->worker);
        }
        return;
    case STATE_ADMIT:
    case STATE_ROUTE:
    case STATE_UPSTREAM:
        err_set(&e, E_SHUTDOWN, "terminating connection due to administrator command");
        session_end(s, PARTING_FATAL, &e);
        return;
    case STATE_RELAY:
        relay_drain(s, now);
        return;
    case STATE_CONSOLE:
        console_drain(s, now);
        return;
    case STATE_CANCEL:
        if (now || cancel_is_idle(s))
            session_end(s, PARTING_SILENT, NULL);
        return;
    case STATE_FAREWELL:
    case STATE_COUNT:
        return;
    }
}
