#include "gate/session/upstream_ready.h"

#include "base/check.h"
#include "base/env.h"
#include "base/log.h"
#include "base/rd.h"
#include "client/login_session.h"
#include "gate/session/meters.h"
#include "gate/session/registry.h"
#include "gate/session/upstream_attempt.h"
#include "gate/session/upstream_impl.h"
#include "gate/session/upstream_turn.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"

/* ---- after AuthenticationOk ---- */

static enum code own_key(struct upstream_room *r, struct bytes body, struct err *e)
{
    struct session *s = r->s;

    TRY(login_note_key(&r->facts, body, e));
    r->route.pid = r->facts.pid;
    memcpy(r->route.key, r->facts.key, r->facts.key_n);
    r->route.key_n = r->facts.key_n;
    server_conn_route(s->server_conn, &r->route);
    registry_remove(s->worker, s); /* of an attempt that came to nothing: found under the pid it had */
    s->pid = (int32_t)r->route.pid;
    s->cancel_route = arena_alloc(&s->arena, sizeof *s->cancel_route);
    if (!s->cancel_route)
        return err_set(e, E_NOMEM, "out of memory");
    *s->cancel_route = r->route;
    TRY(registry_add(s->worker, s, s->startup.requested < PROTOCOL_3_2 ? KEY_N_3_0 : KEY_N_3_2));
    backend_key_data(&r->held, r->route.pid, bytes_of(s->key, s->key_n));
    return OK;
}

static void log_authorized(struct session *s)
{
    struct log_line line;
    char server[128];

    if (!(session_settings(s)->log_connections & 1u << CONF_LOG_AUTHORIZATION) &&
        str_equal(s->upstream_user, s->startup.user))
        return;
    session_log(s, &line, SEV_LOG, "connection_authorized");
    if (s->startup.application_name.n > 0)
        log_str(&line, "application_name", s->startup.application_name);
    if (s->startup.replication != REPLICATION_NONE)
        log_c(&line, "replication", "on");
    if (s->tls.used) {
        log_c(&line, "protocol", s->tls.version);
        log_c(&line, "cipher", s->tls.cipher);
        log_int(&line, "bits", s->tls.bits);
    }
    server_conn_text(s->server_conn, server);
    log_c(&line, "upstream", server);
    log_str(&line, "upstream_user", s->upstream_user);
    log_int(&line, "pid", s->pid);
    log_end(&line);
}

/* ReadyForQuery: everything is said to the client at once, and the pipes are opened. */
static void hand_over(struct upstream_room *r, char state)
{
    struct session *s = r->s;
    char server[128];

    server_conn_accepted(s->server_conn);
    upstream_turn_done(r);
    meters_upstream(s, true);
    log_authorized(s);
    buf_append_buf(&s->out, &s->admission->final);
    backend_auth(&s->out, AUTH_OK, bytes_of(NULL, 0));
    buf_append_buf(&s->out, &r->held);
    backend_ready(&s->out, state);
    s->follow.state = state;
    server_conn_text(s->server_conn, server);
    (void)arena_str(&s->arena, str_c(server), &s->server_text); /* for the views only */
    s->follow.ready = true;
    r->handed_over = true;
    if (r->in.n > 0) { /* the server has nothing to say before it is asked, but what it says is not lost */
        buf_append(&s->out, buf_bytes(&r->in));
        msg_follow(&s->follow, buf_bytes(&r->in));
    }
    session_resume(s);
}

/* Does the server suit target_session_attrs? Servers before 14 have to be asked. */
static void judge_attrs(struct upstream_room *r, char state)
{
    enum session_attrs wanted = r->upstream->info.session_attrs;
    AUTO(buf) struct buf out = BUF_INIT(1024);
    struct err e;

    r->facts.transaction_state = state;
    server_conn_role(r->s->server_conn, login_role(&r->facts));
    /* With one try a preference is no more than that: the next sessions know better where to look first. */
    if (server_conn_any_attrs(r->s->server_conn) || (r->client_engaged && wanted == ATTRS_PREFER_STANDBY))
        wanted = ATTRS_ANY;
    switch (login_attrs(&r->facts, wanted, &e)) {
    case ATTRS_SUITS:
        hand_over(r, state);
        return;
    case ATTRS_UNKNOWN:
        r->stage = UPSTREAM_ATTRS;
        frontend_query(&out, login_attrs_query(wanted));
        if (server_conn_send_buf(r->s->server_conn, &out, &e) == OK)
            return;
        upstream_attempt_failed(r, EVENT_CLOSED, &e);
        return;
    case ATTRS_MISMATCH:
        frontend_terminate(&out);
        (void)!server_conn_send_buf(r->s->server_conn, &out, &r->why);
        upstream_attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return;
    }
}

/* ReadyForQuery of a server that only judged: it would have served the user, and is needed no more. */
static void judged(struct upstream_room *r)
{
    AUTO(buf) struct buf out = BUF_INIT(16);
    struct err ignored;

    server_conn_accepted(r->s->server_conn);
    upstream_turn_done(r);
    frontend_terminate(&out);
    (void)!server_conn_send_buf(r->s->server_conn, &out, &ignored);
    r->handed_over = true;
    session_resume(r->s);
}

/* An ErrorResponse after R(0): the client gets all that was said, in order, and the connection ends. */
static void late_error(struct upstream_room *r, struct bytes message)
{
    struct session *s = r->s;
    struct err e;

    r->full = false;
    buf_append_buf(&r->refusal, &s->admission->final);
    backend_auth(&r->refusal, AUTH_OK, bytes_of(NULL, 0));
    buf_append_buf(&r->refusal, &r->held);
    buf_append(&r->refusal, message);
    err_set(&e, E_AUTH, "the server refused the session");
    struct server_error said;
    if (server_error_parse(bytes_from(message, MSG_HEADER), &said) == OK) {
        err_set(&e, E_AUTH, "%.*s", STR_ARG(said.message));
        err_sqlstate_set(&e, said.sqlstate);
        if (upstream_turn_full(r, &said, &e))
            return;
    }
    if (r->upstream->checked && !r->client_engaged && str_starts(str_c(err_sqlstate(&e)), STR("57P0")))
        upstream_attempt_failed(r, EVENT_LATE_ERROR, &e); /* it is being shut down: there will be another */
    else
        upstream_fail(r, &e);
}

/* One message between AuthenticationOk and ReadyForQuery. Returns false when the room has moved on. */
static bool ready_message(struct upstream_room *r, const struct msg *msg, struct bytes whole)
{
    struct err e;

    switch (msg->type) {
    case 'K':
        if (r->judge_only) /* nothing of this session is for the client */
            return true;
        if (own_key(r, msg->body, &e) == OK)
            return true;
        upstream_attempt_failed(r, EVENT_LATE_ERROR, &e);
        return false;
    case 'E':
        late_error(r, whole);
        return false;
    case 'Z': {
        char state = msg->body.n == 1 ? (char)msg->body.p[0] : 'I';
        if (r->judge_only) {
            judged(r);
            return false;
        }
        buf_consume(&r->in, whole.n);
        judge_attrs(r, state);
        return false;
    }
    case 'S': /* the client's to complain of, if it is not well formed */
        (void)!login_note_parameter(&r->facts, &r->arena, msg->body, &e);
        break;
    default:
        break;
    }
    if (!r->judge_only)
        buf_append(&r->held, whole);
    return true;
}

static bool attrs_message(struct upstream_room *r, const struct msg *msg, struct bytes whole)
{
    struct err e;

    if (msg->type == 'D') {
        struct rd rd = rd_over(msg->body);
        (void)rd_u16(&rd);
        uint32_t n = rd_u32(&rd);
        struct str value = str_from_bytes(rd_bytes(&rd, n));
        if (login_attrs_answer(r->upstream->info.session_attrs, value, &e) == ATTRS_SUITS)
            return true;
        upstream_attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return false;
    }
    if (msg->type == 'E') {
        err_set(&e, E_CONNECT, "could not ask the server for its state");
        upstream_attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return false;
    }
    if (msg->type == 'Z') {
        buf_consume(&r->in, whole.n);
        hand_over(r, msg->body.n == 1 ? (char)msg->body.p[0] : 'I');
        return false;
    }
    return true;
}

/* What the client must hear whole cannot be kept. */
static void not_held(struct upstream_room *r, size_t more)
{
    struct err e;

    if (more > UPSTREAM_IN_MAX - r->held.n)
        err_set(&e, E_PROTOCOL, "received more than %d bytes from the server before it was ready",
                UPSTREAM_IN_MAX);
    else
        err_set(&e, E_NOMEM, "out of memory");
    upstream_fail(r, &e);
}

void upstream_after_ok(struct upstream_room *r)
{
    struct msg msg;
    struct err e;
    size_t used;

    for (;;) {
        enum code code = msg_next(buf_bytes(&r->in), UPSTREAM_MESSAGE_MAX, &msg, &used);
        if (code == E_MORE)
            return;
        if (code != OK) {
            err_set(&e, E_PROTOCOL, "received an invalid message from the server");
            upstream_fail(r, &e);
            return;
        }
        struct bytes whole = bytes_of(r->in.p, used);
        bool stay = r->stage == UPSTREAM_ATTRS ? attrs_message(r, &msg, whole)
                                               : ready_message(r, &msg, whole);
        if (!stay)
            return;
        if (!buf_ok(&r->held)) {
            not_held(r, used);
            return;
        }
        buf_consume(&r->in, used);
    }
}

void upstream_authenticated(struct upstream_room *r)
{
    buf_reset(&r->refusal); /* of a server that was tried before */
    r->stage = UPSTREAM_READY;
    r->client_engaged = r->relayed;
    upstream_after_ok(r);
}
