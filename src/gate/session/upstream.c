/*
 * The upstream server: connect, log in, hand over.
 *
 * Either the gate logs in itself (it has judged the client), or the client's exchange passes through. In both
 * cases the client hears AuthenticationOk only when the server has said it, and everything up to
 * ReadyForQuery reaches it in one piece, with a cancel key of the gate's own.
 */
#include "gate/session/upstream.h"

#include "base/check.h"
#include "base/wr.h"
#include "client/login_session.h"
#include "gate/session/console.h"
#include "gate/session/meters.h"
#include "gate/session/pending.h"
#include "gate/session/upstream_attempt.h"
#include "gate/session/upstream_impl.h"
#include "gate/session/upstream_login.h"
#include "gate/session/upstream_ready.h"
#include "gate/session/upstream_turn.h"
#include "gate/session/upstream_wait.h"
#include "gate/work/worker.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"
#include "policy/method.h"

/* ---- endings ---- */

/* At the same server; for what it can be asked otherwise. */
static void try_again(struct upstream_room *r)
{
    upstream_forget_attempt(r);
    server_conn_again(r->s->server_conn);
}

static enum step give_up(struct upstream_room *r, struct err *e)
{
    struct session *s = r->s;
    struct log_line line;

    session_log(s, &line, SEV_LOG, "upstream_failed");
    log_err(&line, &r->why);
    log_end(&line);
    /* A server that says no is there. */
    meters_upstream(s, r->refusal.n > 0 || r->why.code == E_AUTH);
    if (r->refusal.n > 0) {
        buf_append_buf(&s->out, &r->refusal);
        *e = r->why;
        return session_fail(s, PARTING_RELAYED);
    }
    /* What it says about our own network, and what the servers asked for, stays in the log. */
    if (r->why.code == E_AUTH) {
        if (s->cause == CAUSE_NONE)
            s->cause = CAUSE_UPSTREAM_REFUSED;
        err_set(e, E_AUTH, "could not log in to the upstream server as user \"%.*s\"",
                STR_ARG(s->upstream_user));
    } else {
        err_set(e, E_UNAVAILABLE, "the upstream server is not available");
    }
    return session_fail(s, PARTING_FATAL);
}

/* ---- the gate logs in ---- */

static void feed_login(void *arg);

static void begin_login(struct upstream_room *r)
{
    struct session *s = r->s;
    bool service = upstream_is_service(r);
    const struct login_line line = server_conn_line(s->server_conn, feed_login, r);
    struct login_params params = {
        .user = service ? r->upstream->info.user : s->startup.user,
        .env = session_env(s),
    };
    struct err e;

    s->upstream_user = params.user;
    if (service && upstream_find_password(r, &e) != OK) {
        upstream_fail(r, &e);
        return;
    }
    params.parameters = upstream_parameters(r, &params.parameter_count);
    params.auth_allowed = upstream_choose_login(r, &params.creds);
    r->has_secret = params.creds.keys || params.creds.password.n > 0;
    r->login = params.parameters ? login_drive_new(&r->upstream->info, &params, &line) : NULL;
    if (!r->login) {
        err_set(&e, E_NOMEM, "out of memory");
        upstream_fail(r, &e);
        return;
    }
    if (login_drive_begin(r->login, &e) != OK)
        upstream_attempt_failed(r, EVENT_CLOSED, &e);
}

static void keep_refusal(struct upstream_room *r, struct bytes body)
{
    struct wr w;

    r->full = false;
    buf_reset(&r->refusal);
    w = wr_begin(&r->refusal, 'E');
    wr_bytes(&w, body);
    wr_end(&w);
}

static void feed_login(void *arg)
{
    struct upstream_room *r = arg;
    struct session *s = r->s;
    const struct login *login = login_drive_login(r->login);
    struct err e = { 0 };

    switch (login_drive_feed(r->login, &r->in, &e)) {
    case LOGIN_MORE:
    case LOGIN_WORK:
        return;
    case LOGIN_LOST:
        upstream_attempt_failed(r, EVENT_CLOSED, &e);
        return;
    case LOGIN_AUTHENTICATED:
    case LOGIN_READY:
        r->facts.protocol = login_facts(login)->protocol;
        upstream_authenticated(r);
        return;
    case LOGIN_REFUSED:
        if (upstream_without_facts(r, login_server_error(login))) {
            try_again(r);
            return;
        }
        if (login_server_error(login)->body.n > 0)
            keep_refusal(r, login_server_error(login)->body);
        else
            e.code = E_UNAVAILABLE; /* bare text, as from one that could not fork: nothing to pass on */
        if (upstream_turn_full(r, login_server_error(login), &e))
            return;
        upstream_attempt_failed(r, login_event(login), &e);
        return;
    case LOGIN_FAIL:
        e.code = E_AUTH; /* ours to say, and no other attempt can do better */
        s->reason = "The gate cannot log in to the upstream server.";
        if (!r->has_secret && login_facts(login)->requested_authentication)
            s->cause = CAUSE_NO_SECRET;
        upstream_attempt_failed(r, EVENT_LOCAL_ERROR, &e);
        return;
    }
}

/* ---- the client's exchange passes through ---- */

static void begin_relayed(struct upstream_room *r)
{
    struct session *s = r->s;
    AUTO(buf) struct buf out = BUF_INIT(HELLO_LENGTH_MAX * 2);
    struct err e;
    size_t n;
    struct parameter *parameters = upstream_parameters(r, &n);

    relayed_init(&r->exchange, hba_method_needs(s->rule->method), r->upstream->info.auth_allowed);
    r->facts.protocol = r->upstream->info.protocol_max;
    if (parameters)
        frontend_startup(&out, r->facts.protocol, parameters, n);
    if (!parameters) {
        err_set(&e, E_NOMEM, "out of memory");
        upstream_fail(r, &e);
        return;
    }
    if (server_conn_send_buf(s->server_conn, &out, &e) != OK)
        upstream_attempt_failed(r, EVENT_CLOSED, &e);
}

/* It is who it says: now it counts. */
static bool take_place(struct upstream_room *r)
{
    struct err e;
    bool late = false;

    if (pending_admit(r->s, &late, &e) == OK)
        return true;
    if (r->s->cause == CAUSE_NONE)
        r->s->cause = CAUSE_TOO_MANY;
    if (late) {
        buf_append_buf(&r->refusal, &r->s->admission->final);
        backend_auth(&r->refusal, AUTH_OK, bytes_of(NULL, 0));
    }
    backend_fatal(&r->refusal, &e);
    upstream_fail(r, &e);
    return false;
}

static void relayed_success(struct upstream_room *r)
{
    struct session *s = r->s;
    struct err e;

    buf_reset(&r->refusal); /* of a server that was tried before */
    if (login_check_certificate(r->upstream->info.sslcertmode, server_conn_certificate(s->server_conn), &e) !=
        OK) {
        upstream_fail(r, &e);
        return;
    }
    enum code code = admission_succeeded(s, &e);
    if (code == E_NEED_ROLES) /* nobody can be asked under auth_source = upstream: the map does not match */
        (void)admission_failed(s, &e);
    if (code != OK) {
        if (s->cause == CAUSE_NONE)
            s->cause = CAUSE_IDENTITY; /* the server is content: it is we who refuse */
        buf_append_buf(&r->refusal, &s->admission->final);
        backend_fatal(&r->refusal, &e);
        upstream_fail(r, &e);
        return;
    }
    if (!take_place(r))
        return;
    upstream_authenticated(r);
}

/* The server speaks less than max_protocol_version; what the client speaks is between it and the gate. */
static bool take_negotiation(struct upstream_room *r, struct bytes body, size_t used)
{
    const struct conninfo *info = &r->upstream->info;
    struct err e;

    enum code code = login_negotiation(body, r->facts.protocol, info->protocol_min, &r->facts.protocol, &e);
    buf_consume(&r->in, used);
    if (code == OK)
        return true;
    upstream_attempt_failed(r, EVENT_LOCAL_ERROR, &e);
    return false;
}

/* Returns false when the room has moved on. */
static bool relayed_message(struct upstream_room *r, const struct msg *msg, size_t used)
{
    struct session *s = r->s;
    struct err e;

    if (msg->type == 'E') {
        struct server_error said;
        bool parsed = server_error_parse(msg->body, &said) == OK;
        if (parsed && upstream_without_facts(r, &said)) {
            try_again(r);
            return false;
        }
        keep_refusal(r, msg->body);
        err_set(&e, E_AUTH, "the server refused the client");
        if (parsed) {
            err_set(&e, E_AUTH, "%.*s", STR_ARG(said.message));
            err_sqlstate_set(&e, said.sqlstate);
        }
        if (parsed && upstream_turn_full(r, &said, &e))
            return false;
        upstream_attempt_failed(
            r, parsed && str_is(said.sqlstate, "57P03") ? EVENT_SERVER_BUSY : EVENT_SERVER_ERROR, &e);
        return false;
    }
    if (msg->type == 'v')
        return take_negotiation(r, msg->body, used);
    if (msg->type != 'R') { /* NoticeResponse */
        buf_consume(&r->in, used);
        return true;
    }
    enum relayed_verdict verdict = relayed_server(&r->exchange, msg->body, &s->out, &s->admission->final, &e);
    buf_consume(&r->in, used);
    switch (verdict) {
    case RELAYED_TO_CLIENT:
        r->client_engaged = true;
        server_conn_untimed(s->server_conn); /* how long the client takes says nothing of the server */
        upstream_turn_done(r);
        return true;
    case RELAYED_HOLD:
        return true;
    case RELAYED_DONE:
        relayed_success(r);
        return false;
    case RELAYED_VIOLATION:
        buf_reset(&r->refusal);
        upstream_fail(r, &e);
        return false;
    }
    return false;
}

static void feed_relayed(struct upstream_room *r)
{
    struct msg msg;
    struct err e;
    size_t used;

    for (;;) {
        enum code code = msg_next(buf_bytes(&r->in), MSG_LOGIN_ERROR_MAX, &msg, &used);
        if (code == E_MORE)
            break;
        if (code != OK) {
            err_set(&e, E_PROTOCOL, "received an invalid message from the server");
            upstream_attempt_failed(r, EVENT_LOCAL_ERROR, &e);
            return;
        }
        if (!relayed_message(r, &msg, used))
            return;
    }
    session_resume(r->s);
}

/* ---- the server connection's callbacks ---- */

static void upstream_on_ready(void *arg)
{
    struct upstream_room *r = arg;

    CHECK(!r->client_engaged);
    upstream_forget_attempt(r);
    r->stage = UPSTREAM_LOGIN;
    if (r->relayed)
        begin_relayed(r);
    else
        begin_login(r);
}

static void upstream_on_data(void *arg, struct bytes data)
{
    struct upstream_room *r = arg;
    struct err e;

    if (!buf_append(&r->in, data)) {
        err_set(&e, E_LIMIT, "the server sent too much data before the session was ready");
        upstream_fail(r, &e);
        return;
    }
    if (r->stage != UPSTREAM_LOGIN)
        upstream_after_ok(r);
    else if (r->relayed)
        feed_relayed(r);
    else
        feed_login(r);
}

static void on_closed(void *arg, const struct err *e)
{
    struct upstream_room *r = arg;

    if (r->stage == UPSTREAM_READY && !r->judge_only &&
        !upstream_may_wait(r)) { /* the client sees what PostgreSQL's crash would look like */
        buf_append_buf(&r->refusal, &r->s->admission->final);
        backend_auth(&r->refusal, AUTH_OK, bytes_of(NULL, 0));
        buf_append_buf(&r->refusal, &r->held);
        upstream_fail(r, e);
        return;
    }
    upstream_attempt_failed(r, EVENT_CLOSED, e);
}

static void on_failed(void *arg, const struct err *e)
{
    struct upstream_room *r = arg;

    if (r->full)
        buf_reset(&r->refusal); /* it had no room then; now it is something else */
    if (!upstream_wait(r, e))
        upstream_fail(r, e);
}

/* A proof that the pool is still working on was for the server that is given up. */
static void on_lapsed(void *arg)
{
    upstream_forget_attempt(arg);
}

/* ---- the room ---- */

/* Of a client that ends while it waits, and has asked nothing, there is nobody left to serve. */
static enum step wait_turn(struct session *s, struct err *e)
{
    if (!(s->flags & SESSION_DEAF) || s->in.n > 0)
        return STEP_MORE;
    err_set(e, E_CLOSED, "the client closed the connection while it waited to log in to the server");
    return session_fail(s, PARTING_LOGGED);
}

enum step upstream_enter(struct session *s, struct err *e)
{
    struct upstream_room *r = ARENA_NEW(&s->scratch, struct upstream_room);

    if (!r) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    s->upstream_room = r;
    r->s = s;
    r->judge_only = session_is_console(s);
    r->upstream = snapshot_upstream(s->snapshot, s->admission->route);
    s->upstream = r->judge_only ? NULL : r->upstream;
    r->relayed = s->admission->relayed;
    r->in = BUF_INIT(UPSTREAM_IN_MAX);
    r->held = BUF_INIT(UPSTREAM_IN_MAX);
    r->refusal = BUF_INIT(2 * UPSTREAM_IN_MAX);
    arena_init(&r->arena, SESSION_SCRATCH_MAX, 2048);
    s->upstream_user = s->startup.user;
    r->owner = (struct server_conn_owner){ upstream_on_ready, upstream_on_data, on_closed, on_failed, r,
                                           on_lapsed,         upstream_turn };
    s->server_conn = server_conn_new(s->worker, r->upstream, &r->owner);
    if (!s->server_conn) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    return r->waits ? wait_turn(s, e) : STEP_JOB;
}

bool upstream_too_late(struct session *s)
{
    struct upstream_room *r = s->upstream_room;

    if (s->state != STATE_UPSTREAM)
        return false;
    if (r->waits)
        s->cause = CAUSE_UPSTREAM_BUSY;
    if (upstream_wait_over(r))
        return true;
    if (!r->full || r->refusal.n == 0)
        return false;
    s->cause = CAUSE_SERVER_FULL;
    upstream_turn_leave(r);
    r->failed = true;
    session_resume(s);
    return true;
}

void upstream_news(struct session *s, const struct conn_host *host, bool lost)
{
    if (s->state == STATE_UPSTREAM && s->upstream_room)
        upstream_wait_news(s->upstream_room, host, lost);
}

static enum proof_kind proof_owed(const struct relayed *exchange)
{
    if (exchange->wait == RELAYED_SASL || exchange->wait == RELAYED_SASL_FIRST)
        return PROOF_SASL;
    return exchange->needs == HBA_NEEDS_GSS ? PROOF_GSS : PROOF_PASSWORD;
}

/* What the client answers while its exchange passes through. */
static enum step take_answer(struct upstream_room *r, struct err *e)
{
    struct session *s = r->s;
    struct msg msg;
    size_t used;

    enum code code = admission_take(s, proof_owed(&r->exchange), &msg, &used, e);
    if (code == E_MORE)
        return STEP_MORE;
    if (code != OK)
        return STEP_FAIL;
    code = upstream_turn_again(r, e);
    if (code != OK)
        return code == E_MORE ? STEP_JOB : session_fail(s, PARTING_FATAL);
    if (relayed_client(&r->exchange, msg.body, e) != OK)
        return session_fail(s, PARTING_FATAL);
    s->gs2 = r->exchange.gs2;
    code = server_conn_send(s->server_conn, bytes_of(s->in.p, used), e);
    wipe(s->in.p, used);
    buf_consume(&s->in, used);
    if (code != OK) {
        r->why = *e;
        return give_up(r, e);
    }
    return STEP_JOB;
}

enum step upstream_step(struct session *s, struct err *e)
{
    struct upstream_room *r = s->upstream_room;

    if (r->failed)
        return give_up(r, e);
    if (r->handed_over)
        return session_goto(s, r->judge_only ? STATE_CONSOLE : STATE_RELAY);
    if ((r->waits || r->lacks_primary) && !r->client_engaged)
        return wait_turn(s, e);
    if (r->relayed && r->exchange.wait != RELAYED_NOTHING)
        return take_answer(r, e);
    return STEP_JOB;
}

void upstream_leave(struct session *s)
{
    struct upstream_room *r = s->upstream_room;

    server_conn_free(s->server_conn);
    s->server_conn = NULL;
    if (!r)
        return;
    s->upstream_room = NULL;
    upstream_turn_leave(r);
    upstream_wait_leave(r);
    login_drive_free(r->login);
    buf_fini_secret(&r->in);
    buf_fini(&r->held);
    buf_fini(&r->refusal);
    password_wipe(&r->password);
    arena_fini(&r->arena);
}
