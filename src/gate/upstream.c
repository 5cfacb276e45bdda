/*
 * The server behind: connect, log in, hand over.
 *
 * Either the gate logs in itself (it has judged the client), or the client's exchange passes through. In both
 * cases the client hears AuthenticationOk only when the server has said it, and everything up to
 * ReadyForQuery reaches it in one piece, with a cancel key of the gate's own.
 */
#include "auth/password.h"
#include "base/check.h"
#include "base/env.h"
#include "base/rd.h"
#include "base/wr.h"
#include "client/login.h"
#include "client/passfile.h"
#include "gate/admission.h"
#include "gate/relayed.h"
#include "gate/rooms.h"
#include "gate/worker.h"
#include "net/loop.h"
#include "pgwire/backend.h"
#include "pgwire/frontend.h"
#include "tls/engine.h"

#include <stdio.h>

enum {
    UPSTREAM_MESSAGE_MAX = 1 << 20, /* of what a server says between AuthenticationOk and ReadyForQuery */
    UPSTREAM_IN_MAX = 2 << 20,
    UPSTREAM_FACTS = 6, /* parameters of forward_facts */
    KEY_N_3_0 = 4,
    KEY_N_3_2 = 32
};

enum upstream_stage {
    UPSTREAM_CONNECT, /* no connection yet */
    UPSTREAM_LOGIN,   /* the gate logs in, or the exchange passes through */
    UPSTREAM_READY,   /* behind AuthenticationOk, before ReadyForQuery */
    UPSTREAM_ATTRS    /* asking a server before 14 what target_session_attrs wants to know */
};

struct upstream_room {
    struct session *s;
    const struct upstream *upstream;
    enum upstream_stage stage;
    bool relayed;
    bool client_engaged; /* the client has been asked something: there is no second try */
    struct relayed exchange;
    struct login *login;
    struct arena arena; /* of the present attempt */
    struct buf in;      /* from the server, not yet consumed */
    struct buf held;    /* for the client, with AuthenticationOk */
    struct buf refusal; /* the server's ErrorResponse before AuthenticationOk; empty: none */
    struct login_facts facts;
    struct secret password; /* of the service user */
    struct cancel_route route;
    bool handed_over;
    bool failed;
    struct err why;
};

/* ---- StartupMessage ---- */

static bool is_ours(struct str name)
{
    return str_starts(name, STR("pgseal."));
}

static struct parameter *put(struct parameter *at, struct str name, struct str value)
{
    *at = (struct parameter){ name, value };
    return at + 1;
}

static size_t facts_of(struct session *s, struct parameter *out)
{
    struct parameter *at = out;
    struct str rule = STR("");
    char host[64];
    struct str address = STR("");

    session_host(s, host, sizeof host);
    if (!arena_str(&s->scratch, str_c(host), &address) ||
        !arena_printf(&s->scratch, &rule, "%.*s:%u", STR_ARG(s->rule->file), s->rule->line))
        return 0;
    at = put(at, STR("pgseal.ssl"), s->tls.used ? STR("on") : STR("off"));
    if (s->tls.used) {
        at = put(at, STR("pgseal.version"), str_c(s->tls.version));
        at = put(at, STR("pgseal.cipher"), str_c(s->tls.cipher));
    }
    at = put(at, STR("pgseal.client_addr"), address);
    if (s->tls.has_cert && !str_has_nul(s->tls.cert.slash))
        at = put(at, STR("pgseal.client_dn"), s->tls.cert.slash);
    at = put(at, STR("pgseal.rule"), rule);
    return (size_t)(at - out);
}

static size_t length_of(const struct parameter *parameters, size_t n)
{
    size_t total = HELLO_LENGTH_MIN + 1;

    for (size_t i = 0; i < n; i++)
        total += parameters[i].name.n + parameters[i].value.n + 2;
    return total;
}

/* What the client said, with our changes; *out_n parameters in the scratch arena, NULL when memory ran out.
 */
static struct parameter *startup_parameters(struct session *s, const struct upstream *u, size_t *out_n)
{
    const struct startup *st = &s->startup;
    struct parameter *list = arena_array(&s->scratch, st->parameter_count + 3 + UPSTREAM_FACTS, sizeof *list);
    struct parameter *at = list;
    struct str renamed = u->info.options.v[CONN_DBNAME];

    if (!list)
        return NULL;
    at = put(at, STR("user"), s->upstream_user);
    if (st->replication != REPLICATION_PHYSICAL)
        at = put(at, STR("database"), renamed.p && renamed.n ? renamed : st->database);
    if (st->replication != REPLICATION_NONE)
        at = put(at, STR("replication"),
                 st->replication == REPLICATION_PHYSICAL ? STR("true") : STR("database"));
    for (size_t i = 0; i < st->parameter_count; i++)
        if (!is_ours(st->parameters[i].name))
            *at++ = st->parameters[i];
    size_t n = (size_t)(at - list);
    if (session_settings(s)->forward_facts) {
        size_t more = facts_of(s, at);
        if (length_of(list, n + more) <= HELLO_LENGTH_MAX)
            n += more;
    }
    *out_n = n;
    return list;
}

/* ---- which credentials ---- */

static bool has_client_certificate(const struct upstream *u)
{
    return u->files.cert.n > 0;
}

/* What of upstream_login applies to this session and this connection: allowed methods, and the secret to use.
 */
static unsigned choose_login(struct upstream_room *r, struct login_creds *creds)
{
    struct session *s = r->s;
    const struct admission *a = s->admission;
    const struct settings_logins *logins = &a->route->upstream_login;
    unsigned allowed = leg_is_unix(s->leg) ? AUTH_BIT_NONE : 0;
    bool secret = false;

    for (size_t i = 0; i < logins->n; i++) {
        switch (logins->at[i]) {
        case CONF_LOGIN_SCRAM:
            if (a->have_keys && !secret) {
                creds->keys = &a->keys;
                allowed |= AUTH_BIT_SCRAM;
                secret = true;
            }
            break;
        case CONF_LOGIN_PASSWORD:
            if (a->password.n > 0 && !secret) {
                creds->password = &a->password;
                allowed |= AUTH_BIT_PASSWORD | AUTH_BIT_MD5 | AUTH_BIT_SCRAM;
                secret = true;
            }
            break;
        case CONF_LOGIN_SERVICE:
            if (!secret && r->password.n > 0) {
                creds->password = &r->password;
                allowed |= AUTH_BIT_PASSWORD | AUTH_BIT_MD5 | AUTH_BIT_SCRAM;
                secret = true;
            }
            break;
        case CONF_LOGIN_CERT:
            allowed |= leg_is_tls(s->leg) && has_client_certificate(r->upstream) ? AUTH_BIT_NONE : 0;
            break;
        case CONF_LOGIN_PEER:
            break; /* a unix socket: allowed already */
        case CONF_LOGIN_TRUST:
            allowed |= leg_is_tls(s->leg) && r->upstream->verified ? AUTH_BIT_NONE : 0;
            break;
        }
    }
    return allowed & r->upstream->info.auth_allowed;
}

static bool uses_service(const struct admission *a)
{
    for (size_t i = 0; i < a->route->upstream_login.n; i++)
        if (a->route->upstream_login.at[i] == CONF_LOGIN_SERVICE)
            return true;
    return false;
}

/* With `service` in the list and nothing before it that applies, the session acts as the conninfo's own user.
 */
static bool is_service(const struct admission *a)
{
    if (!uses_service(a))
        return false;
    for (size_t i = 0; i < a->route->upstream_login.n; i++) {
        enum conf_upstream_login login = a->route->upstream_login.at[i];
        if (login == CONF_LOGIN_SERVICE)
            return true;
        if ((login == CONF_LOGIN_SCRAM && a->have_keys) ||
            (login == CONF_LOGIN_PASSWORD && a->password.n > 0))
            return false;
    }
    return false;
}

/* ---- endings ---- */

static void fail_later(struct upstream_room *r, const struct err *e)
{
    r->failed = true;
    r->why = *e;
    session_resume(r->s);
}

/* Go on with the next attempt, unless the client has been asked already. */
static void attempt_failed(struct upstream_room *r, enum attempt_event event, const struct err *e)
{
    if (r->client_engaged) {
        fail_later(r, e);
        return;
    }
    login_free(r->login);
    r->login = NULL;
    r->stage = UPSTREAM_CONNECT;
    buf_reset(&r->in);
    buf_reset(&r->held);
    r->facts = (struct login_facts){ 0 };
    leg_event(r->s->leg, event, e);
}

static enum step give_up(struct upstream_room *r, struct err *e)
{
    struct session *s = r->s;
    struct log_line line;

    session_log(s, &line, SEV_LOG, "upstream_failed");
    log_err(&line, &r->why);
    log_end(&line);
    if (r->refusal.n > 0) {
        buf_append(&s->out, buf_bytes(&r->refusal));
        *e = r->why;
        return session_fail(s, PARTING_RELAYED);
    }
    /* What it says about our own network, and what the servers asked for, stays in the log. */
    if (r->why.code == E_AUTH)
        err_set(e, E_AUTH, "could not log in to the server behind as user \"%.*s\"",
                STR_ARG(s->upstream_user));
    else
        err_set(e, E_UNAVAILABLE, "the server behind is not available");
    return session_fail(s, PARTING_FATAL);
}

/* ---- after AuthenticationOk ---- */

static enum code own_key(struct upstream_room *r, struct bytes body, struct err *e)
{
    struct session *s = r->s;
    struct rd rd = rd_over(body);

    r->route.pid = rd_u32(&rd);
    struct bytes key = rd_rest(&rd, 4, sizeof r->route.key);
    if (rd_end(&rd) != OK)
        return err_set(e, E_PROTOCOL, "received invalid BackendKeyData message");
    memcpy(r->route.key, key.p, key.n);
    r->route.key_n = key.n;
    leg_route(s->leg, &r->route);
    s->pid = (int32_t)r->route.pid;
    s->cancel_route = arena_alloc(&s->arena, sizeof *s->cancel_route);
    if (!s->cancel_route)
        return err_set(e, E_NOMEM, "out of memory");
    *s->cancel_route = r->route;
    if (s->registered)
        registry_remove(s->worker, s);
    TRY(registry_add(s->worker, s, s->startup.requested < PROTOCOL_3_2 ? KEY_N_3_0 : KEY_N_3_2));
    backend_key_data(&r->held, r->route.pid, bytes_of(s->key, s->key_n));
    return OK;
}

static void note_parameter(struct upstream_room *r, struct bytes body)
{
    struct rd rd = rd_over(body);
    struct str name = rd_cstr(&rd), value = rd_cstr(&rd);

    if (rd_end(&rd) != OK)
        return;
    if (str_is(name, "default_transaction_read_only"))
        (void)arena_str(&r->arena, value, &r->facts.default_read_only);
    else if (str_is(name, "in_hot_standby"))
        (void)arena_str(&r->arena, value, &r->facts.in_hot_standby);
    else if (str_is(name, "server_version"))
        (void)arena_str(&r->arena, value, &r->facts.server_version);
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
    leg_text(s->leg, server);
    log_c(&line, "upstream", server);
    log_str(&line, "upstream_user", s->upstream_user);
    log_int(&line, "pid", s->pid);
    log_end(&line);
}

/* ReadyForQuery: everything is said to the client at once, and the pipes are opened. */
static void hand_over(struct upstream_room *r, char state)
{
    struct session *s = r->s;

    leg_accepted(s->leg);
    log_authorized(s);
    buf_append(&s->out, buf_bytes(&s->admission->final));
    backend_auth(&s->out, AUTH_OK, bytes_of(NULL, 0));
    buf_append(&s->out, buf_bytes(&r->held));
    backend_ready(&s->out, state);
    s->follow.state = state;
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
    if (leg_any_attrs(r->s->leg))
        wanted = ATTRS_ANY;
    switch (login_attrs(&r->facts, wanted, &e)) {
    case ATTRS_SUITS:
        hand_over(r, state);
        return;
    case ATTRS_UNKNOWN:
        r->stage = UPSTREAM_ATTRS;
        frontend_query(&out, login_attrs_query(wanted));
        if (leg_send(r->s->leg, buf_bytes(&out), &e) == OK)
            return;
        attempt_failed(r, EVENT_CLOSED, &e);
        return;
    case ATTRS_MISMATCH:
        frontend_terminate(&out);
        (void)!leg_send(r->s->leg, buf_bytes(&out), &r->why);
        attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return;
    }
}

/* An ErrorResponse behind R(0): the client gets all that was said, in order, and the connection ends. */
static void late_error(struct upstream_room *r, struct bytes message)
{
    struct session *s = r->s;
    struct err e;

    buf_append(&r->refusal, buf_bytes(&s->admission->final));
    backend_auth(&r->refusal, AUTH_OK, bytes_of(NULL, 0));
    buf_append(&r->refusal, buf_bytes(&r->held));
    buf_append(&r->refusal, message);
    err_set(&e, E_AUTH, "the server refused the session");
    struct server_error said;
    if (server_error_parse(bytes_from(message, MSG_HEADER), &said) == OK)
        err_set(&e, E_AUTH, "%.*s", STR_ARG(said.message));
    fail_later(r, &e);
}

/* One message between AuthenticationOk and ReadyForQuery. Returns false when the room has moved on. */
static bool ready_message(struct upstream_room *r, const struct msg *msg, struct bytes whole)
{
    struct err e;

    switch (msg->type) {
    case 'K':
        if (own_key(r, msg->body, &e) == OK)
            return true;
        attempt_failed(r, EVENT_LATE_ERROR, &e);
        return false;
    case 'E':
        late_error(r, whole);
        return false;
    case 'Z': {
        char state = msg->body.n == 1 ? (char)msg->body.p[0] : 'I';
        buf_consume(&r->in, whole.n);
        judge_attrs(r, state);
        return false;
    }
    case 'S':
        note_parameter(r, msg->body);
        break;
    default:
        break;
    }
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
        attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return false;
    }
    if (msg->type == 'E') {
        err_set(&e, E_CONNECT, "could not ask the server for its state");
        attempt_failed(r, EVENT_ATTRS_MISMATCH, &e);
        return false;
    }
    if (msg->type == 'Z') {
        buf_consume(&r->in, whole.n);
        hand_over(r, msg->body.n == 1 ? (char)msg->body.p[0] : 'I');
        return false;
    }
    return true;
}

static void after_ok(struct upstream_room *r)
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
            fail_later(r, &e);
            return;
        }
        struct bytes whole = bytes_of(r->in.p, used);
        bool stay = r->stage == UPSTREAM_ATTRS ? attrs_message(r, &msg, whole)
                                               : ready_message(r, &msg, whole);
        if (!stay)
            return;
        buf_consume(&r->in, used);
    }
}

static void authenticated(struct upstream_room *r)
{
    r->stage = UPSTREAM_READY;
    r->client_engaged = r->relayed;
    after_ok(r);
}

/* ---- the gate logs in ---- */

static void begin_login(struct upstream_room *r)
{
    struct session *s = r->s;
    AUTO(buf) struct buf out = BUF_INIT(HELLO_LENGTH_MAX * 2);
    struct login_params params = {
        .protocol = PROTOCOL_3_0,
        .protocol_min = PROTOCOL_3_0,
        .user = s->upstream_user,
        .require_auth = r->upstream->info.require_auth,
        .binding = r->upstream->info.channel_binding,
        .tls = leg_is_tls(s->leg),
        .end_point = leg_end_point(s->leg),
        .sslcertmode = r->upstream->info.sslcertmode,
        .cert = has_client_certificate(r->upstream) ? LOGIN_CERT_SENT : LOGIN_CERT_NONE,
        .env = session_env(s),
    };
    struct err e;

    arena_reset(&r->arena);
    params.parameters = startup_parameters(s, r->upstream, &params.parameter_count);
    params.auth_allowed = choose_login(r, &params.creds);
    r->login = params.parameters ? login_new(&params, &r->arena) : NULL;
    if (!r->login) {
        err_set(&e, E_NOMEM, "out of memory");
        fail_later(r, &e);
        return;
    }
    login_begin(r->login, &out);
    if (!buf_ok(&out) || leg_send(s->leg, buf_bytes(&out), &e) != OK)
        attempt_failed(r, EVENT_CLOSED, &e);
}

static void keep_refusal(struct upstream_room *r, struct bytes body)
{
    struct wr w;

    buf_reset(&r->refusal);
    w = wr_begin(&r->refusal, 'E');
    wr_bytes(&w, body);
    wr_end(&w);
}

static void feed_login(struct upstream_room *r)
{
    struct session *s = r->s;
    struct buf out = BUF_INIT(HELLO_LENGTH_MAX * 2);
    struct err e = { 0 };
    size_t used = 0;

    enum login_step step = login_feed(r->login, buf_bytes(&r->in), &used, &out, &e);
    buf_consume(&r->in, used);
    bool sent = out.n == 0 || leg_send(s->leg, buf_bytes(&out), &e) == OK;
    buf_fini_secret(&out);
    if (!sent) {
        attempt_failed(r, EVENT_CLOSED, &e);
        return;
    }
    switch (step) {
    case LOGIN_MORE:
        return;
    case LOGIN_WORK:
        login_work(r->login);
        feed_login(r);
        return;
    case LOGIN_AUTHENTICATED:
    case LOGIN_READY:
        authenticated(r);
        return;
    case LOGIN_REFUSED:
        keep_refusal(r, login_server_error(r->login)->body);
        attempt_failed(r, login_event(r->login), &e);
        return;
    case LOGIN_FAIL:
        e.code = E_AUTH; /* ours to say, and no other attempt can do better */
        s->reason = "The gate cannot log in to the server behind.";
        attempt_failed(r, EVENT_LOCAL_ERROR, &e);
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
    struct parameter *parameters = startup_parameters(s, r->upstream, &n);

    relayed_init(&r->exchange, hba_method_needs(s->rule->method));
    if (parameters)
        frontend_startup(&out, PROTOCOL_3_0, parameters, n);
    if (!parameters || !buf_ok(&out)) {
        err_set(&e, E_NOMEM, "out of memory");
        fail_later(r, &e);
        return;
    }
    if (leg_send(s->leg, buf_bytes(&out), &e) != OK)
        attempt_failed(r, EVENT_CLOSED, &e);
}

static void relayed_success(struct upstream_room *r)
{
    struct session *s = r->s;
    struct err e;

    if (admission_succeeded(s, &e) != OK) {
        buf_append(&r->refusal, buf_bytes(&s->admission->final));
        backend_fatal(&r->refusal, &e);
        fail_later(r, &e);
        return;
    }
    admission_log(s);
    authenticated(r);
}

/* Returns false when the room has moved on. */
static bool relayed_message(struct upstream_room *r, const struct msg *msg, size_t used)
{
    struct session *s = r->s;
    struct err e;

    if (msg->type == 'E') {
        struct server_error said;
        keep_refusal(r, msg->body);
        err_set(&e, E_AUTH, "the server refused the client");
        bool parsed = server_error_parse(msg->body, &said) == OK;
        if (parsed)
            err_set(&e, E_AUTH, "%.*s", STR_ARG(said.message));
        attempt_failed(r, parsed && str_is(said.sqlstate, "57P03") ? EVENT_SERVER_BUSY : EVENT_SERVER_ERROR,
                       &e);
        return false;
    }
    if (msg->type !=
        'R') { /* NoticeResponse; NegotiateProtocolVersion cannot come, nothing new was asked for */
        buf_consume(&r->in, used);
        return true;
    }
    enum relayed_verdict verdict = relayed_server(&r->exchange, msg->body, &s->out, &s->admission->final, &e);
    buf_consume(&r->in, used);
    switch (verdict) {
    case RELAYED_TO_CLIENT:
        r->client_engaged = true;
        return true;
    case RELAYED_HOLD:
        return true;
    case RELAYED_DONE:
        relayed_success(r);
        return false;
    case RELAYED_VIOLATION:
        fail_later(r, &e);
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
            attempt_failed(r, EVENT_LOCAL_ERROR, &e);
            return;
        }
        if (!relayed_message(r, &msg, used))
            return;
    }
    session_resume(r->s);
}

/* ---- the leg's callbacks ---- */

static void on_ready(void *arg)
{
    struct upstream_room *r = arg;

    r->stage = UPSTREAM_LOGIN;
    if (r->relayed)
        begin_relayed(r);
    else
        begin_login(r);
}

static void on_data(void *arg, struct bytes data)
{
    struct upstream_room *r = arg;
    struct err e;

    if (!buf_append(&r->in, data)) {
        err_set(&e, E_LIMIT, "the server says too much before the session is ready");
        fail_later(r, &e);
        return;
    }
    if (r->stage != UPSTREAM_LOGIN)
        after_ok(r);
    else if (r->relayed)
        feed_relayed(r);
    else
        feed_login(r);
}

static void on_closed(void *arg, const struct err *e)
{
    struct upstream_room *r = arg;

    if (r->stage == UPSTREAM_READY) { /* the client sees what PostgreSQL's crash would look like */
        buf_append(&r->refusal, buf_bytes(&r->s->admission->final));
        backend_auth(&r->refusal, AUTH_OK, bytes_of(NULL, 0));
        buf_append(&r->refusal, buf_bytes(&r->held));
        fail_later(r, e);
        return;
    }
    attempt_failed(r, EVENT_CLOSED, e);
}

static void on_failed(void *arg, const struct err *e)
{
    fail_later(arg, e);
}

/* ---- the room ---- */

/* The conninfo's own user, and his password from the password file. */
static enum code prepare_service(struct upstream_room *r, struct err *e)
{
    const struct conninfo *info = &r->upstream->info;
    AUTO(arena) struct arena scratch;
    struct conn_world world;
    bool found = false;

    r->s->upstream_user = info->user;
    struct str passfile = info->options.v[CONN_PASSFILE];
    if (passfile.n == 0)
        return OK;
    arena_init(&scratch, SESSION_SCRATCH_MAX, 1024);
    TRY(conn_world_system(&scratch, &world));
    const struct passfile_key key = {
        .host = passfile_host(&info->hosts[0]),
        .port = info->hosts[0].port_text,
        .dbname = r->s->startup.database,
        .user = info->user,
    };
    return passfile_lookup(&world, passfile, &key, &r->password, &found, e);
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
    r->upstream = snapshot_upstream(s->snapshot, s->admission->route);
    r->relayed = s->admission->relayed;
    r->in = BUF_INIT(UPSTREAM_IN_MAX);
    r->held = BUF_INIT(UPSTREAM_IN_MAX);
    r->refusal = BUF_INIT(2 * UPSTREAM_IN_MAX);
    arena_init(&r->arena, SESSION_SCRATCH_MAX, 2048);
    s->upstream_user = s->startup.user;
    if (!r->relayed && is_service(s->admission) && prepare_service(r, &r->why) != OK)
        return give_up(r, e);
    const struct leg_owner owner = { on_ready, on_data, on_closed, on_failed, r };
    s->leg = leg_new(s->worker, r->upstream, &owner);
    if (!s->leg) {
        err_set(e, E_NOMEM, "out of memory");
        return session_fail(s, PARTING_FATAL);
    }
    return STEP_JOB;
}

/* What the client answers while its exchange passes through. */
static enum step take_answer(struct upstream_room *r, struct err *e)
{
    struct session *s = r->s;
    bool sasl = r->exchange.wait == RELAYED_SASL || r->exchange.wait == RELAYED_SASL_FIRST;
    struct msg msg;
    size_t used;

    enum code code = admission_take(s, sasl, &msg, &used, e);
    if (code == E_MORE)
        return STEP_MORE;
    if (code != OK)
        return STEP_FAIL;
    if (relayed_client(&r->exchange, msg.body, e) != OK)
        return session_fail(s, PARTING_FATAL);
    code = leg_send(s->leg, bytes_of(s->in.p, used), e);
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
        return session_goto(s, STATE_RELAY);
    if (r->relayed && r->exchange.wait != RELAYED_NOTHING)
        return take_answer(r, e);
    return STEP_JOB;
}

void upstream_leave(struct session *s)
{
    struct upstream_room *r = s->upstream_room;

    leg_free(s->leg);
    s->leg = NULL;
    if (!r)
        return;
    s->upstream_room = NULL;
    login_free(r->login);
    buf_fini_secret(&r->in);
    buf_fini(&r->held);
    buf_fini(&r->refusal);
    secret_wipe(&r->password);
    arena_fini(&r->arena);
}
