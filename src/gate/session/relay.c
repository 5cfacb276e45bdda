/*
 * Two pipes.
 *
 * Client to server is not parsed. Server to client is followed by message headers only, for one purpose: to
 * know when the session is idle. A side that does not take what it is sent stops the other side's reading.
 * Half-closes pass through: a client that has said all it wants to say still hears the answers.
 */
#include "gate/session/relay.h"

#include "base/check.h"
#include "base/env.h"
#include "gate/session/meters.h"
#include "gate/session/server_end.h"
#include "gate/session/tally_session.h"
#include "gate/work/worker.h"
#include "pgwire/frontend.h"

static void over(struct session *s)
{
    session_end(s, PARTING_SILENT, NULL);
}

/* Reading goes on where the other side takes what it is sent. */
static void update(struct session *s)
{
    meters_bytes(s);
    if (stream_over(&s->server)) { /* nothing would tell it later */
        server_end_session(s);
        return;
    }
    stream_set_reading(&s->client, !(s->flags & SESSION_DEAF) && !stream_blocked(&s->server));
    stream_set_reading(&s->server, !stream_blocked(&s->client));
}

/* Replication, both ways at once: it never ends, and the standby goes on elsewhere where it was. A base backup is work. */
static bool streams(const struct session *s)
{
    return s->startup.replication != REPLICATION_NONE && s->follow.type == 'd' && s->asked.type == 'd' &&
           msg_between(&s->follow) && msg_asked_whole(&s->asked);
}

bool relay_idle(const struct session *s)
{
    return streams(s) || (s->follow.ready && s->follow.state == 'I' && msg_between(&s->follow) &&
                          !(s->flags & SESSION_BUSY));
}

/* Nothing that the client has sent is on its way. A client may send the next query before it has the answer. */
static bool all_answered(const struct session *s)
{
    return s->asked.bad || (s->asked.n == s->follow.n_ready && msg_asked_closed(&s->asked));
}

/* What the server has said may end what the client has asked for. */
static void note_answers(struct session *s)
{
    if (!msg_between(&s->follow))
        return;
    if (!s->follow.ready)
        return;
    s->flags &= ~(unsigned)SESSION_TOLD; /* it was an error, and the session goes on */
    if (s->follow.copied) {
        s->follow.copied = false;
        msg_asked_copied(&s->asked);
    }
    if (all_answered(s))
        s->flags &= ~(unsigned)SESSION_BUSY;
}

static void say_goodbye(struct session *s)
{
    AUTO(buf) struct buf out = BUF_INIT(16);
    struct err e;

    frontend_terminate(&out);
    (void)!stream_write(&s->server, buf_bytes(&out), &e);
    err_set(&e, E_SHUTDOWN, "terminating connection due to administrator command");
    session_end(s, server_end_may_speak(s) ? PARTING_FATAL : PARTING_LOGGED, &e);
}

/* Its turn has come, and it is idle; but what the client has sent by now is answered first. */
static void part(struct session *s)
{
    relay_client_readable(s);
    if (s->state == STATE_RELAY && relay_idle(s) && !stream_midway(&s->client))
        say_goodbye(s);
}

enum step relay_enter(struct session *s, struct err *e)
{
    (void)e;
    session_phase_none(s);
    s->server_sslmode = s->upstream->info.sslmode;
    server_conn_take_stream(s->server_conn, &s->server, relay_on_server, s);
    session_login_over(s); /* before anything that may end the session: nobody looks for it then */
    /* Counted before it is told: who has heard of its session may ask for the numbers at once. */
    session_ready(s);
    meters_connected(s);
    session_tally_admitted(s);
    if (!session_send(s))
        return STEP_JOB;
    arena_fini(&s->scratch);
    s->asked.n = s->follow.n_ready;
    if (s->in.n > 0) { /* pipelined after the login */
        s->flags |= SESSION_BUSY;
        msg_ask(&s->asked, buf_bytes(&s->in));
        if (stream_write(&s->server, buf_bytes(&s->in), NULL) != OK)
            s->flags |= SESSION_DEAF; /* what the server said before it closed is still to be read */
    }
    buf_fini_secret(&s->in);
    stream_relax(&s->client);
    stream_relax(&s->server);
    if (s->flags & SESSION_DEAF)
        stream_finish(&s->server);
    update(s);
    return STEP_JOB;
}

void relay_client_readable(struct session *s)
{
    struct bytes in;

    switch (stream_read(&s->client, &in, NULL)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        s->flags |= SESSION_BUSY;
        s->active_ms = loop_now_ms(s->worker->loop);
        msg_ask(&s->asked, in);
        if (stream_write(&s->server, in, NULL) != OK) {
            /* What the server said before it closed is still to be read. */
            s->flags |= SESSION_DEAF;
        } else if (stream_over(&s->client)) {
            relay_client_readable(s);
            return;
        }
        break;
    case STREAM_EOF:
        s->flags |= SESSION_DEAF;
        stream_finish(&s->server);
        break;
    case STREAM_FAIL:
        over(s);
        return;
    }
    update(s);
}

void relay_client_writable(struct session *s)
{
    update(s);
}

static void server_readable(struct session *s)
{
    bool whole = msg_between(&s->follow);
    struct bytes in;

    switch (stream_read(&s->server, &in, NULL)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        s->active_ms = loop_now_ms(s->worker->loop);
        msg_follow(&s->follow, in);
        note_answers(s);
        if (s->follow.type == 'E' && server_end_may_speak(s))
            server_end_note(s, in, whole);
        if (stream_write(&s->client, in, NULL) != OK) {
            over(s);
            return;
        }
        if (s->flags & SESSION_DUE && relay_idle(s)) {
            part(s);
            if (s->state != STATE_RELAY)
                return;
        }
        break;
    case STREAM_EOF:
    case STREAM_FAIL:
        server_end_session(s);
        return;
    }
    update(s);
}

void relay_on_server(void *arg, unsigned events)
{
    struct session *s = arg;

    if (s->state != STATE_RELAY)
        return;
    if (events & POLL_WRITE) {
        if (stream_flush(&s->server, NULL) != OK)
            s->flags |= SESSION_DEAF;
        update(s);
    }
    if (s->state == STATE_RELAY && events & POLL_READ)
        server_readable(s);
}

void relay_drain(struct session *s, bool now)
{
    if (s->flags & SESSION_HELD)
        s->flags |= now ? (unsigned)SESSION_DOOMED : 0;
    else if (now)
        say_goodbye(s);
    else if (s->flags & SESSION_DUE && relay_idle(s))
        part(s);
}

void relay_hold(struct session *s)
{
    s->flags |= SESSION_HELD;
    stream_hold(&s->client, true);
    stream_hold(&s->server, true);
}

void relay_go_on(struct session *s)
{
    s->flags &= ~(unsigned)SESSION_HELD;
    stream_hold(&s->client, false);
    stream_hold(&s->server, false);
    if (s->flags & SESSION_DOOMED)
        session_drain(s, true);
    else
        relay_drain(s, false);
    if (s->state == STATE_RELAY)
        update(s);
}

void relay_leave(struct session *s)
{
    stream_finish(&s->server);
    stream_close(&s->server);
}
