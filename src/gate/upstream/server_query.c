/* The gate's own session on a server: connect, log in as auth_user, ask. */
#include "gate/upstream/server_query.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/rd.h"
#include "base/wr.h"
#include "client/conninfo_defaults.h"
#include "client/login_session.h"
#include "client/passfile.h"
#include "gate/load/snapshot.h"
#include "gate/upstream/server_conn.h"
#include "gate/work/worker.h"
#include "net/loop.h"
#include "pgwire/frontend.h"
#include "pgwire/hello.h"
#include "pgwire/msg.h"

#include <stdlib.h>

enum {
    QUERY_IN_MAX = 1 << 20,
    QUERY_OUT_MAX = 64 * 1024,
    QUERY_ARENA_MAX = 1 << 20,
    QUERY_TIMEOUT_MS = 10000, /* from a question to its answer, connecting included */
    QUERY_RETRY_MS = 1000,    /* before hosts none of which was the primary are tried again */
    QUERY_FULL_MS = 100,      /* before a server without room is asked again */
    QUERY_IDLE_MS = 60000,    /* a session that nobody needs goes: it would hold up a server's shutdown */
    QUERY_PARAMETERS_MAX = 6,
    QUERY_READY_MAX = 3 /* ReadyForQuery to the three parts of a question */
};

/*
 * What the question must not depend on: a search_path, row security and a time limit of role or database. It
 * is said in the question's own transaction, not in the StartupMessage: poolers such as PgBouncer refuse
 * these parameters there, and may give every transaction another server.
 */
#define QUERY_BEGIN                                                                                          \
    "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '5s'; "              \
    "SET LOCAL row_security = off"
#define QUERY_END "COMMIT"

enum server_query_stage {
    QUERY_IDLE, /* no session */
    QUERY_CONNECT,
    QUERY_LOGIN,
    QUERY_READY, /* no question is open */
    QUERY_BUSY
};

struct server_query {
    struct worker *worker;
    struct snapshot *snapshot;
    const struct upstream *upstream;
    struct server_query_owner owner;
    enum server_query_stage stage;
    struct server_conn *conn;
    struct login_drive *login;
    struct arena arena; /* of the present login */
    struct buf in;
    struct buf question; /* the messages of the open question */
    unsigned unready;    /* ReadyForQuery that are still to come */
    bool reused;         /* the question went over a session from before, and nothing has answered it yet */
    struct password password;
    struct timer *timer;
    struct timer *pause; /* while the server has no room, or none is the primary */
    bool full;
    bool lacks_primary;
    bool patient;      /* a primary has been waited for: until authentication_timeout */
    struct err lacked; /* why there was none; `patient` */
    struct err why;
};

static enum code connect_now(struct server_query *a);

static void hang_up(struct server_query *a)
{
    server_conn_free(a->conn);
    a->conn = NULL;
    login_drive_free(a->login);
    a->login = NULL;
    buf_fini_secret(&a->in);
    password_wipe(&a->password);
    arena_reset(&a->arena);
    if (a->full || a->lacks_primary)
        timer_stop(a->pause);
    a->full = a->lacks_primary = false;
    a->stage = QUERY_IDLE;
}

/* The session is over, with whatever was asked; the next question makes a new one. */
static void dead(struct server_query *a, const struct err *e)
{
    bool asked = a->stage != QUERY_READY && a->stage != QUERY_IDLE;
    struct err why = *e; /* it may be the connection's own */

    timer_stop(a->timer);
    hang_up(a);
    if (asked)
        a->owner.lost(a->owner.arg, &why);
}

/* While another server becomes the primary, the question waits; it reads, so it may be asked twice. */
static bool wait_for_primary(struct server_query *a, const struct err *e)
{
    if (!a->upstream->checked || !a->conn || !server_conn_may_recover(a->conn) || a->stage == QUERY_READY)
        return false;
    a->lacked = *e;
    a->lacked.code = E_UNAVAILABLE;
    hang_up(a);
    a->stage = QUERY_CONNECT;
    a->lacks_primary = true;
    if (!a->patient)
        timer_set(a->timer, (int64_t)snapshot_settings(a->snapshot)->authentication_timeout_s * 1000);
    a->patient = true;
    timer_set(a->pause, QUERY_RETRY_MS);
    return true;
}

/* A session that stood idle may be lost without our fault, and nothing of the answer has come: ask again. */
static void on_lost(void *arg, const struct err *e)
{
    struct server_query *a = arg;

    if (a->stage != QUERY_BUSY || !a->reused) {
        if (wait_for_primary(a, e))
            return;
        /* Its last words say more than that it has gone. */
        dead(a, a->stage == QUERY_BUSY && a->why.message[0] ? &a->why : e);
        return;
    }
    struct err why = *e;
    hang_up(a);
    a->why = (struct err){ 0 }; /* the session's own last words */
    if (connect_now(a) == OK)
        return;
    timer_stop(a->timer);
    a->owner.lost(a->owner.arg, &why);
}

static void on_timeout(void *arg)
{
    struct server_query *a = arg;
    struct err e;

    err_set(&e, E_UNAVAILABLE, "the server did not answer a look-up in time");
    dead(a, a->full ? &a->why : a->patient ? &a->lacked : &e);
}

/* ---- a server without room ---- */

static enum code wait_for_room(void *arg, const struct address *addr, struct err *e)
{
    const struct server_query *a = arg;

    (void)e;
    return addr && a->full ? E_MORE : OK;
}

static void find_primary(struct server_query *a)
{
    struct err e;

    a->lacks_primary = false;
    timer_stop(a->pause);
    a->why = (struct err){ 0 }; /* of the session before */
    if (connect_now(a) == OK)
        return;
    a->stage = QUERY_CONNECT; /* so that the question is known to be open */
    err_set(&e, E_NOMEM, "out of memory");
    dead(a, &e);
}

static void on_pause_over(void *arg)
{
    struct server_query *a = arg;

    if (a->lacks_primary) {
        find_primary(a);
        return;
    }
    a->full = false;
    a->why = (struct err){ 0 };
    server_conn_go(a->conn);
}

/* Until the question has waited too long. */
static void ask_again_later(struct server_query *a, const struct err *e)
{
    login_drive_free(a->login);
    a->login = NULL;
    a->stage = QUERY_CONNECT;
    a->full = true;
    a->why = *e;
    timer_set(a->pause, QUERY_FULL_MS);
    server_conn_again(a->conn);
}

/* ---- login ---- */

static struct str auth_user(const struct server_query *a)
{
    const struct settings *settings = snapshot_settings(a->snapshot);

    return settings->auth_user.n ? settings->auth_user : a->upstream->info.user;
}

static enum code find_password(struct server_query *a, struct str user, struct str database, struct err *e)
{
    struct str passfile = a->upstream->info.options.v[CONN_PASSFILE];
    const struct conn_host *host = server_conn_host(a->conn);
    const struct conn_world world = conn_world_files();
    bool found;

    password_wipe(&a->password);
    if (passfile.n == 0)
        return OK;
    const struct passfile_key key = { passfile_host(host), host->port_text, database, user };
    return passfile_lookup(&world, passfile, &key, &a->password, &found, e);
}

static void feed_login(void *arg);

static enum code begin_login(struct server_query *a, struct err *e)
{
    const struct conninfo *info = &a->upstream->info;
    struct str user = auth_user(a), database = snapshot_settings(a->snapshot)->auth_dbname;
    const struct parameter parameters[QUERY_PARAMETERS_MAX] = {
        { STR("user"), user },
        { STR("database"), database },
        { STR("application_name"), STR("pgseal") },
        { STR("client_encoding"), STR("SQL_ASCII") },
        { STR("DateStyle"), STR("ISO") },
        { STR("TimeZone"), STR("UTC") },
    };
    TRY(find_password(a, user, database, e));
    enum login_cert certificate = server_conn_certificate(a->conn);
    bool at_once = server_conn_is_unix(a->conn) || certificate == LOGIN_CERT_SENT || a->upstream->verified;
    const struct login_params params = {
        .parameters = parameters,
        .parameter_count = QUERY_PARAMETERS_MAX,
        .user = user,
        .creds = { .password = password_bytes(&a->password) },
        .auth_allowed = info->auth_allowed &
                        ((at_once ? AUTH_BIT_NONE : 0u) | AUTH_BIT_PASSWORD | AUTH_BIT_MD5 | AUTH_BIT_SCRAM),
        .env = &a->worker->env,
    };
    const struct login_line line = server_conn_line(a->conn, feed_login, a);
    a->login = login_drive_new(info, &params, &line);
    if (!a->login)
        return err_set(e, E_NOMEM, "out of memory");
    return login_drive_begin(a->login, e);
}

static void send_question(struct server_query *a)
{
    struct err e;

    a->stage = QUERY_BUSY;
    a->unready = QUERY_READY_MAX;
    if (server_conn_send_buf(a->conn, &a->question, &e) != OK)
        on_lost(a, &e);
}

static void server_query_on_ready(void *arg)
{
    struct server_query *a = arg;
    struct err e;

    a->stage = QUERY_LOGIN;
    login_drive_free(a->login);
    a->login = NULL;
    buf_reset(&a->in);
    if (begin_login(a, &e) != OK)
        server_conn_event(a->conn, EVENT_LOCAL_ERROR, &e);
}

static void feed_login(void *arg)
{
    struct server_query *a = arg;
    const struct login *login = login_drive_login(a->login);
    struct err e = { 0 };

    switch (login_drive_feed(a->login, &a->in, &e)) {
    case LOGIN_MORE:
    case LOGIN_WORK:
        return;
    case LOGIN_AUTHENTICATED:
        feed_login(a); /* what is after it, up to ReadyForQuery */
        return;
    case LOGIN_READY:
        server_conn_role(a->conn, login_role(login_facts(login)));
        server_conn_accepted(a->conn);
        send_question(a);
        return;
    case LOGIN_REFUSED:
        if (server_error_is_full(login_server_error(login), login_facts(login)->in_auth_ok)) {
            ask_again_later(a, &e);
            return;
        }
        server_conn_event(a->conn, login_event(login), &e);
        return;
    case LOGIN_FAIL:
        server_conn_event(a->conn, login_event(login), &e);
        return;
    case LOGIN_LOST:
        server_conn_event(a->conn, EVENT_CLOSED, &e);
        return;
    }
}

/* ---- answers ---- */

static bool read_row(struct server_query *a, struct bytes body)
{
    struct str values[QUERY_COLUMNS_MAX];
    struct rd r = rd_over(body);
    size_t n = rd_u16(&r);

    if (n > QUERY_COLUMNS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        int32_t length = rd_i32(&r);
        values[i] = length < 0 ? str_of(NULL, 0) : str_from_bytes(rd_bytes(&r, (size_t)length));
    }
    if (rd_end(&r) != OK)
        return false;
    a->owner.row(a->owner.arg, values, n);
    return true;
}

/* [src: PostgreSQL 18, character_not_in_repertoire, untranslatable_character] */
static bool is_encoding_error(struct str sqlstate)
{
    return str_is(sqlstate, "22021") || str_is(sqlstate, "22P05");
}

static void note_error(struct server_query *a, struct bytes body)
{
    struct server_error said;

    if (server_error_parse(body, &said) != OK)
        err_set(&a->why, E_UNAVAILABLE, "the server answered a look-up with an error");
    else {
        err_set(&a->why, is_encoding_error(said.sqlstate) ? E_ENCODING : E_UNAVAILABLE, "%.*s",
                STR_ARG(said.message));
        err_sqlstate_set(&a->why, said.sqlstate);
    }
}

static void feed_answer(struct server_query *a)
{
    struct msg msg;
    struct err e;
    size_t used;

    for (;;) {
        enum code code = msg_next(buf_bytes(&a->in), QUERY_IN_MAX, &msg, &used);
        if (code == E_MORE)
            return;
        if (code == OK && msg.type == 'E' && !a->why.message[0]) /* later ones follow from the first */
            note_error(a, msg.body);
        if (code != OK || (msg.type == 'D' && !read_row(a, msg.body))) {
            err_set(&e, E_UNAVAILABLE, "the server's answer to a look-up could not be read");
            dead(a, &e);
            return;
        }
        if (msg.type != 'E' && msg.type != 'N' && msg.type != 'S')
            a->reused = false;
        bool over = msg.type == 'Z' && --a->unready == 0;
        wipe(a->in.p, used); /* a row may hold a secret */
        buf_consume(&a->in, used);
        if (over) {
            a->stage = QUERY_READY;
            timer_set(a->timer, QUERY_IDLE_MS);
            a->owner.done(a->owner.arg, a->why.message[0] ? &a->why : NULL);
            return;
        }
    }
}

static void server_query_on_data(void *arg, struct bytes data)
{
    struct server_query *a = arg;
    struct err e;
    bool fits = buf_append(&a->in, data);

    stream_wipe(data); /* a row may hold a secret */
    if (!fits) {
        err_set(&e, E_UNAVAILABLE, "the server's answer to a look-up is too long");
        dead(a, &e);
        return;
    }
    if (a->stage == QUERY_LOGIN)
        feed_login(a);
    else if (a->stage == QUERY_BUSY)
        feed_answer(a);
    else
        buf_reset(&a->in); /* notices between questions */
}

/* ---- for the owner ---- */

struct server_query *server_query_new(struct worker *worker, struct snapshot *snapshot,
                                      const struct upstream *upstream, const struct server_query_owner *owner)
{
    struct server_query *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->worker = worker;
    a->snapshot = snapshot_ref(snapshot);
    a->upstream = upstream;
    a->owner = *owner;
    a->in = BUF_INIT(QUERY_IN_MAX);
    a->question = BUF_INIT(QUERY_OUT_MAX);
    arena_init(&a->arena, QUERY_ARENA_MAX, 1024);
    a->timer = timer_new(worker->loop, on_timeout, a);
    a->pause = timer_new(worker->loop, on_pause_over, a);
    if (!a->timer || !a->pause) {
        server_query_free(a);
        return NULL;
    }
    return a;
}

void server_query_free(struct server_query *a)
{
    if (!a)
        return;
    hang_up(a);
    timer_close(a->timer);
    timer_close(a->pause);
    buf_fini(&a->question);
    arena_fini(&a->arena);
    snapshot_unref(a->snapshot);
    free(a);
}

/* A transaction around Parse, Bind, Execute, Sync: one unnamed statement with one text parameter, results as
 * text. All goes out at once. */
static void write_question(struct buf *out, struct str sql, struct str parameter)
{
    frontend_query(out, STR(QUERY_BEGIN));
    struct wr w = wr_begin(out, 'P');
    wr_cstr(&w, STR(""));
    wr_cstr(&w, sql);
    wr_u16(&w, 0);
    wr_end(&w);
    w = wr_begin(out, 'B');
    wr_cstr(&w, STR(""));
    wr_cstr(&w, STR(""));
    wr_u16(&w, 0);
    wr_u16(&w, 1);
    wr_u32(&w, (uint32_t)parameter.n);
    wr_bytes(&w, str_bytes(parameter));
    wr_u16(&w, 0);
    wr_end(&w);
    w = wr_begin(out, 'E');
    wr_cstr(&w, STR(""));
    wr_u32(&w, 0);
    wr_end(&w);
    w = wr_begin(out, 'S');
    wr_end(&w);
    frontend_query(out, STR(QUERY_END));
}

/* A proof that the pool is still working on was for the server that is given up. */
static void on_lapsed(void *arg)
{
    struct server_query *a = arg;

    login_drive_free(a->login);
    a->login = NULL;
    a->stage = QUERY_CONNECT;
}

static enum code connect_now(struct server_query *a)
{
    const struct server_conn_owner owner = {
        server_query_on_ready, server_query_on_data, on_lost, on_lost, a, on_lapsed, wait_for_room
    };

    a->stage = QUERY_CONNECT;
    a->reused = false;
    a->conn = server_conn_new(a->worker, a->upstream, &owner);
    if (!a->conn)
        a->stage = QUERY_IDLE;
    return a->conn ? OK : E_NOMEM;
}

enum code server_query_ask(struct server_query *a, struct str sql, struct str parameter)
{
    CHECK(a->stage == QUERY_IDLE || a->stage == QUERY_READY);
    buf_reset(&a->question);
    write_question(&a->question, sql, parameter);
    if (!buf_ok(&a->question))
        return E_LIMIT;
    a->why = (struct err){ 0 };
    a->patient = false;
    timer_set(a->timer, QUERY_TIMEOUT_MS);
    if (a->stage == QUERY_IDLE)
        return connect_now(a);
    a->reused = true;
    send_question(a);
    return OK;
}

void server_query_news(struct server_query *a, const struct conn_host *host, bool lost)
{
    struct err e;

    if (a->lacks_primary && !lost)
        find_primary(a);
    if (!lost || !a->conn || !a->upstream->checked || !conn_host_equal(server_conn_host(a->conn), host))
        return;
    err_set(&e, E_UNAVAILABLE, "the server is no longer the primary");
    switch (a->stage) {
    case QUERY_IDLE:
        return;
    case QUERY_CONNECT:
    case QUERY_LOGIN:
        server_conn_give_up(a->conn, &e);
        return;
    case QUERY_READY:
        dead(a, &e);
        return;
    case QUERY_BUSY:
        a->reused = true; /* as one that was lost while it stood idle: ask again */
        on_lost(a, &e);
        return;
    }
}
