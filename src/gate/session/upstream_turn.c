#include "gate/session/upstream_turn.h"

#include "base/env.h"
#include "base/log.h"
#include "client/login.h"
#include "client/login_session.h"
#include "gate/session/meters.h"
#include "gate/session/pending.h"
#include "gate/session/session.h"
#include "gate/session/upstream_attempt.h"
#include "gate/work/worker.h"
#include "net/loop.h"
#include "net/turns.h"

static int64_t now_us(const struct upstream_room *r)
{
    return env_mono_us(session_env(r->s));
}

static void log_turn(const struct upstream_room *r, const char *event, const char *key, int64_t value)
{
    struct log_line line;

    if (!log_enabled(session_env(r->s)->log, SEV_DEBUG))
        return;
    session_log(r->s, &line, SEV_DEBUG, event);
    if (key)
        log_int(&line, key, value);
    log_end(&line);
}

/* ---- waiting ---- */

static void begin_wait(struct upstream_room *r)
{
    struct session *s = r->s;

    r->waits = true;
    r->turn_asked_us = now_us(r);
    s->login_wait_us -= r->turn_asked_us;
    log_turn(r, "upstream_login_waits", NULL, 0);
}

static void end_wait(struct upstream_room *r)
{
    if (!r->waits)
        return;
    int64_t now = now_us(r);
    r->waits = false;
    r->s->login_wait_us += now;
    meters_login_waited(r->s, now - r->turn_asked_us);
    log_turn(r, "upstream_login_waited", "waited_us", now - r->turn_asked_us);
}

static void go_on(struct upstream_room *r)
{
    end_wait(r);
    if (r->client_engaged)
        session_resume(r->s);
    else
        server_conn_go(r->s->server_conn);
}

static void on_turn(void *arg)
{
    go_on(arg);
}

/* ---- turns ---- */

static enum code take(struct upstream_room *r, struct err *e)
{
    struct worker *worker = r->s->worker;
    const struct turn_wish wish = {
        .resource = bytes_of(&r->turn_addr.ss, r->turn_addr.n),
        .prefix = pending_prefix(r->s),
        .limit = (size_t)snapshot_settings(worker->snapshot)->upstream_login_limit, /* as of now */
        .again = r->client_engaged,
        .loop = worker->loop,
        .go = on_turn,
        .arg = r,
    };

    r->turn = turn_take(worker->shared->turns, &wish);
    if (!r->turn)
        return err_set(e, E_NOMEM, "out of memory");
    if (turn_waits(r->turn))
        begin_wait(r);
    return OK;
}

enum code upstream_turn(void *arg, const struct address *addr, struct err *e)
{
    struct upstream_room *r = arg;

    if (!addr || (r->turn && !conn_addr_equal(addr, &r->turn_addr)))
        upstream_turn_leave(r);
    if (!addr)
        return OK;
    r->turn_addr = *addr;
    if (!r->turn)
        TRY(take(r, e));
    return r->waits ? E_MORE : OK;
}

enum code upstream_turn_again(struct upstream_room *r, struct err *e)
{
    if (!r->turn)
        TRY(take(r, e));
    return r->waits ? E_MORE : OK;
}

void upstream_turn_leave(struct upstream_room *r)
{
    end_wait(r);
    turn_leave(r->turn);
    r->turn = NULL;
    timer_close(r->turn_pause);
    r->turn_pause = NULL;
}

void upstream_turn_done(struct upstream_room *r)
{
    if (r->turn)
        turn_worked(r->turn);
    upstream_turn_leave(r);
}

/* ---- a server without room ---- */

bool upstream_turn_full(struct upstream_room *r, const struct server_error *said, const struct err *e)
{
    struct session *s = r->s;

    if (r->client_engaged || !r->turn || s->startup.replication != REPLICATION_NONE ||
        !server_error_is_full(said, r->stage == UPSTREAM_READY))
        return false;
    if (!r->turn_pause)
        r->turn_pause = timer_new(s->worker->loop, on_turn, r);
    if (!r->turn_pause)
        return false;
    r->full = true;
    r->why = *e;
    int64_t pause_ms = turn_refused(r->turn);
    meters_login_full(s);
    begin_wait(r);
    if (pause_ms >= 0)
        timer_set(r->turn_pause, pause_ms);
    upstream_forget_attempt(r);
    server_conn_again(s->server_conn);
    session_resume(s); /* whether the client is still there is looked at while it waits */
    return true;
}
