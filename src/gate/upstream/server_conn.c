/*
 * A connection to an upstream server: hosts, addresses, methods, TLS, verification.
 *
 * The order of attempts is client/hosts.h's; here is only what touches sockets. Callbacks to the owner come
 * from the loop alone, so an owner never finds itself called from inside its own call.
 */
#include "gate/upstream/server_conn.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/env.h"
#include "client/negotiate.h"
#include "client/socket.h"
#include "gate/load/snapshot.h"
#include "gate/upstream/server_verify.h"
#include "gate/work/worker.h"
#include "net/resolve.h"
#include "net/socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SERVER_CONN_ARENA_MAX = 256 * 1024,
    SERVER_CONN_RETRY_MS = 10, /* a unix socket whose backlog is full answers EAGAIN */
    SERVER_CONN_NAME_MAX = 256
};

enum server_conn_phase {
    SERVER_CONN_RESOLVE,
    SERVER_CONN_TURN, /* of the present address */
    SERVER_CONN_CONNECT,
    SERVER_CONN_REPLY,
    SERVER_CONN_HANDSHAKE,
    SERVER_CONN_READY,
    SERVER_CONN_FAILED
};

struct server_conn {
    struct worker *worker;
    const struct upstream *upstream;
    struct server_conn_owner owner;
    struct arena arena;
    struct attempts attempts;
    bool one_only; /* server_conn_new_at(): no other attempt */
    struct attempt_step step;
    enum server_conn_phase phase;
    struct stream stream;
    struct resolve *resolve;
    struct timer *kick;       /* defers what must not be told from inside a call */
    struct timer *timeout;    /* connect_timeout; NULL: none is set */
    struct err last;          /* of the attempt that failed last */
    enum attempt_event event; /* the same in a word */
};

static void act(struct server_conn *conn);
static void connected(struct server_conn *conn);
static void pass_on(struct server_conn *conn);
static void on_stream(void *arg, unsigned events);

/* ---- failures ---- */

static void tell_failed(struct server_conn *conn)
{
    conn->phase = SERVER_CONN_FAILED;
    timer_set(conn->kick, 0);
}

/* The present attempt came to nothing; go to the next one. */
static void attempt_over(struct server_conn *conn, enum attempt_event event)
{
    conn->event = event;
    if (conn->one_only)
        conn->step.action = ATTEMPT_FAIL;
    else {
        if (event != EVENT_SERVER_ERROR && event != EVENT_SERVER_BUSY && event != EVENT_LATE_ERROR)
            attempts_name_server(&conn->attempts, &conn->last);
        attempts_event(&conn->attempts, event);
        conn->step = conn->attempts.step;
    }
    act(conn);
}

static void on_kick(void *arg)
{
    struct server_conn *conn = arg;

    if (conn->phase == SERVER_CONN_FAILED)
        conn->owner.failed(conn->owner.arg, &conn->last);
    else if (conn->phase == SERVER_CONN_READY)
        pass_on(conn);
    else if (conn->phase == SERVER_CONN_CONNECT && conn->stream.fd >= 0 && server_conn_is_unix(conn))
        connected(conn);
    else
        act(conn);
}

static void on_timeout(void *arg)
{
    struct err e;

    err_set(&e, E_CONNECT, "timeout expired");
    server_conn_give_up(arg, &e);
}

/* ---- TLS ---- */

static const struct conn_host *present_host(const struct server_conn *conn)
{
    return &conn->upstream->info.hosts[conn->step.host];
}

static void start_tls(struct server_conn *conn)
{
    struct str name = negotiate_sni(&conn->upstream->info, present_host(conn));
    struct tls_context *context = conn->upstream->tls ? conn->upstream->tls[conn->worker->index] : NULL;
    char sni[SERVER_CONN_NAME_MAX];

    conn->phase = SERVER_CONN_HANDSHAKE;
    if (!str_to_c(name, sni, sizeof sni))
        sni[0] = '\0';
    if (!context)
        err_set(&conn->last, E_INTERNAL, "no TLS context for this server");
    if (!context || stream_tls_connect(&conn->stream, context, sni, &conn->last) != OK) {
        attempt_over(conn, EVENT_TLS_FAILED);
        return;
    }
    stream_set_reading(&conn->stream, true);
}

static void become_ready(struct server_conn *conn)
{
    conn->phase = SERVER_CONN_READY;
    stream_set_reading(&conn->stream, true);
    conn->owner.ready(conn->owner.arg);
}

static void handshake(struct server_conn *conn)
{
    struct bytes early = bytes_of(NULL, 0), plain;

    switch (stream_handshake(&conn->stream, early, &plain, &conn->last)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        if (server_verify(conn->upstream, &conn->step, conn->stream.tls, &conn->last) != OK)
            break;
        if (plain.n > 0) { /* a server speaks only when spoken to */
            err_set(&conn->last, E_PROTOCOL, "received data before the startup packet was sent");
            break;
        }
        become_ready(conn);
        return;
    case STREAM_EOF:
    case STREAM_FAIL:
        break;
    }
    attempt_over(conn, EVENT_TLS_FAILED);
}

/* ---- connecting ---- */

static void begin_method(struct server_conn *conn)
{
    AUTO(buf) struct buf hello = BUF_INIT(64);

    switch (conn->step.method) {
    case METHOD_PLAIN:
        become_ready(conn);
        return;
    case METHOD_TLS:
        negotiate_hello(METHOD_TLS, &hello);
        conn->phase = SERVER_CONN_REPLY;
        if (stream_write(&conn->stream, buf_bytes(&hello), &conn->last) != OK) {
            attempt_over(conn, EVENT_CLOSED);
            return;
        }
        stream_set_reading(&conn->stream, true);
        return;
    case METHOD_DIRECT_TLS:
        start_tls(conn);
        return;
    }
}

static void connected(struct server_conn *conn)
{
    int why = server_conn_is_unix(conn) ? 0 : socket_connect_result(conn->stream.fd);

    stream_set_connecting(&conn->stream, false);
    if (why != 0) {
        err_set(&conn->last, E_CONNECT, "%s", strerror(why));
        attempt_over(conn, EVENT_CONNECT_FAILED);
        return;
    }
    if (conn_socket_check_peer(&conn->upstream->info, &conn->step.addr, conn->stream.fd, &conn->last) != OK) {
        attempt_over(conn, EVENT_LOCAL_ERROR);
        return;
    }
    begin_method(conn);
}

static void read_reply(struct server_conn *conn)
{
    struct bytes in;
    enum attempt_event event = EVENT_CLOSED;

    switch (stream_read(&conn->stream, &in, &conn->last)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        switch (negotiate_reply(in, &event, &conn->last)) {
        case NEGOTIATE_MORE:
            return;
        case NEGOTIATE_TLS:
            start_tls(conn);
            return;
        case NEGOTIATE_FAIL:
            break;
        }
        break;
    case STREAM_EOF:
        err_set(&conn->last, E_CLOSED, "server closed the connection unexpectedly");
        break;
    case STREAM_FAIL:
        break;
    }
    attempt_over(conn, event);
}

static enum code ask_turn(struct server_conn *conn, const struct address *addr)
{
    return conn->owner.turn ? conn->owner.turn(conn->owner.arg, addr, &conn->last) : OK;
}

/* Returns false when the attempt failed at once, with conn->last set. */
static bool start_connect(struct server_conn *conn)
{
    struct address address = { .ss = conn->step.addr.ss, .n = conn->step.addr.n };
    int fd;

    stream_close(&conn->stream);
    enum code code = ask_turn(conn, &conn->step.addr);
    if (code == E_MORE) {
        conn->phase = SERVER_CONN_TURN;
        conn->step.new_address = true; /* connect_timeout begins when the turn has come */
        server_conn_untimed(conn);
    }
    if (code != OK)
        return code == E_MORE;
    conn->phase = SERVER_CONN_CONNECT;
    code = socket_connect(&address, &fd, &conn->last);
    if (code != OK && (errno == EMFILE || errno == ENFILE) &&
        conn->worker->hooks->needs_descriptor(conn->worker))
        code = socket_connect(&address, &fd, &conn->last);
    if (code != OK) {
        if (errno == EAGAIN && conn_addr_is_unix(&conn->step.addr)) {
            timer_set(conn->kick, SERVER_CONN_RETRY_MS);
            return true;
        }
        return false;
    }
    conn_socket_tune(&conn->upstream->info, &conn->step.addr, fd);
    if (stream_open(&conn->stream, &conn->worker->room, fd, on_stream, conn) != OK) {
        err_set(&conn->last, E_NOMEM, "out of memory");
        return false;
    }
    if (server_conn_is_unix(conn))
        timer_set(conn->kick, 0); /* a unix socket is connected at once, or not at all */
    else
        stream_set_connecting(&conn->stream, true);
    uint32_t timeout_s = conn->upstream->info.connect_timeout_s;
    if (timeout_s > 0 && conn->step.new_address) {
        if (!conn->timeout)
            conn->timeout = timer_new(conn->worker->loop, on_timeout, conn);
        if (conn->timeout)
            timer_set(conn->timeout, (int64_t)timeout_s * 1000);
    }
    return true;
}

static void on_resolved(void *arg, int gai_error, const struct addrinfo *found, const char *name)
{
    struct server_conn *conn = arg;
    struct address addrs[HOST_ADDRESSES_MAX];
    size_t n = conn_addrs_found(gai_error == 0 ? found : NULL, addrs, HOST_ADDRESSES_MAX);

    (void)name;
    conn->resolve = NULL;
    if (n == 0)
        err_set(&conn->last, E_CONNECT, "could not translate host name \"%.*s\" to address: %s",
                STR_ARG(present_host(conn)->host), gai_strerror(gai_error ? gai_error : EAI_NONAME));
    if (attempts_resolved(&conn->attempts, addrs, n) != OK) {
        err_set(&conn->last, E_NOMEM, "out of memory");
        tell_failed(conn);
        return;
    }
    conn->step = conn->attempts.step;
    act(conn);
}

static bool start_resolve(struct server_conn *conn)
{
    char host[SERVER_CONN_NAME_MAX];

    conn->phase = SERVER_CONN_RESOLVE;
    stream_close(&conn->stream);
    server_conn_untimed(conn); /* the time was the address's before; a name is not timed, as in libpq */
    (void)ask_turn(conn, NULL);
    if (!str_to_c(present_host(conn)->host, host, sizeof host))
        err_set(&conn->last, E_CONNECT, "host name is too long");
    else
        conn->resolve = resolve_forward(conn->worker->loop, &(struct resolve_name){ NULL, host, "" },
                                        on_resolved, conn);
    return conn->resolve != NULL;
}

/* Do what the sequence of attempts says next. */
static void act(struct server_conn *conn)
{
    timer_stop(conn->kick); /* it was for the attempt before */
    switch (conn->step.action) {
    case ATTEMPT_RESOLVE:
        if (!start_resolve(conn))
            tell_failed(conn);
        return;
    case ATTEMPT_CONNECT:
        if (!start_connect(conn))
            attempt_over(conn, EVENT_CONNECT_FAILED);
        return;
    case ATTEMPT_CONTINUE:
        begin_method(conn);
        return;
    case ATTEMPT_FAIL:
        stream_close(&conn->stream);
        tell_failed(conn);
        return;
    }
}

/* ---- after ready ---- */

static void pass_on(struct server_conn *conn)
{
    struct bytes in;
    struct err e;

    switch (stream_read(&conn->stream, &in, &e)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        if (stream_over(&conn->stream))
            timer_set(conn->kick, 0); /* nothing else would tell that these were the last bytes */
        conn->owner.data(conn->owner.arg, in);
        return;
    case STREAM_EOF:
        err_set(&e, E_CLOSED, "server closed the connection unexpectedly");
        break;
    case STREAM_FAIL:
        break;
    }
    stream_set_reading(&conn->stream, false);
    if (!conn->one_only)
        attempts_name_server(&conn->attempts, &e);
    conn->event = EVENT_CLOSED;
    conn->owner.closed(conn->owner.arg, &e);
}

static void on_stream(void *arg, unsigned events)
{
    struct server_conn *conn = arg;

    if (conn->phase == SERVER_CONN_CONNECT) {
        connected(conn);
        return;
    }
    if (events & POLL_WRITE)
        (void)!stream_flush(&conn->stream, &conn->last); /* a broken socket shows itself at the next read */
    if (!(events & POLL_READ))
        return;
    switch (conn->phase) {
    case SERVER_CONN_REPLY:
        read_reply(conn);
        return;
    case SERVER_CONN_HANDSHAKE:
        handshake(conn);
        return;
    case SERVER_CONN_READY:
        pass_on(conn);
        return;
    case SERVER_CONN_RESOLVE:
    case SERVER_CONN_TURN:
    case SERVER_CONN_CONNECT:
    case SERVER_CONN_FAILED:
        return;
    }
}

/* ---- for the owner ---- */

static struct server_conn *server_conn_alloc(struct worker *worker, const struct upstream *upstream,
                                             const struct server_conn_owner *owner)
{
    struct server_conn *conn = calloc(1, sizeof *conn);

    if (!conn)
        return NULL;
    conn->worker = worker;
    conn->upstream = upstream;
    conn->owner = *owner;
    conn->stream.fd = -1;
    arena_init(&conn->arena, SERVER_CONN_ARENA_MAX, 512);
    conn->kick = timer_new(worker->loop, on_kick, conn);
    if (!conn->kick) {
        server_conn_free(conn);
        return NULL;
    }
    return conn;
}

struct server_conn *server_conn_new(struct worker *worker, const struct upstream *upstream,
                                    const struct server_conn_owner *owner)
{
    struct server_conn *conn = server_conn_alloc(worker, upstream, owner);

    if (!conn)
        return NULL;
    if (attempts_init(&conn->attempts, &upstream->info, &worker->hosts, &worker->env, &conn->arena) != OK) {
        server_conn_free(conn);
        return NULL;
    }
    conn->step = conn->attempts.step;
    act(conn);
    return conn;
}

struct server_conn *server_conn_new_at(struct worker *worker, const struct upstream *upstream,
                                       const struct cancel_route *route,
                                       const struct server_conn_owner *owner)
{
    struct server_conn *conn = server_conn_alloc(worker, upstream, owner);

    if (!conn)
        return NULL;
    conn->one_only = true;
    conn->step = (struct attempt_step){ ATTEMPT_CONNECT, route->host, route->addr, route->method, true };
    act(conn);
    return conn;
}

void server_conn_free(struct server_conn *conn)
{
    if (!conn)
        return;
    stream_close(&conn->stream);
    resolve_cancel(conn->resolve);
    timer_close(conn->kick);
    timer_close(conn->timeout);
    arena_fini(&conn->arena);
    free(conn);
}

enum code server_conn_send(struct server_conn *conn, struct bytes data, struct err *e)
{
    if (conn->phase != SERVER_CONN_READY)
        return err_set(e, E_CLOSED, "no connection to the server is ready");
    return stream_write(&conn->stream, data, e);
}

enum code server_conn_send_buf(struct server_conn *conn, const struct buf *data, struct err *e)
{
    if (!buf_ok(data))
        return err_set(e, E_NOMEM, "out of memory");
    return server_conn_send(conn, buf_bytes(data), e);
}

void server_conn_event(struct server_conn *conn, enum attempt_event event, const struct err *e)
{
    conn->last = *e;
    attempt_over(conn, event);
}

void server_conn_give_up(struct server_conn *conn, const struct err *e)
{
    if (conn->phase == SERVER_CONN_RESOLVE || conn->phase == SERVER_CONN_FAILED)
        return;
    if (conn->phase == SERVER_CONN_READY && conn->owner.lapsed)
        conn->owner.lapsed(conn->owner.arg);
    conn->last = *e;
    attempt_over(conn, EVENT_TIMEOUT);
}

bool server_conn_may_recover(const struct server_conn *conn)
{
    return attempt_may_recover(conn->event, err_sqlstate(&conn->last));
}

void server_conn_again(struct server_conn *conn)
{
    conn->step.action = ATTEMPT_CONNECT;
    conn->step.new_address = false; /* connect_timeout goes on */
    act(conn);
}

void server_conn_go(struct server_conn *conn)
{
    if (conn->phase == SERVER_CONN_TURN)
        act(conn);
}

void server_conn_pass_over(struct server_conn *conn)
{
    host_cache_down(&conn->worker->hosts, &conn->step.addr, env_mono_us(&conn->worker->env));
}

void server_conn_role(struct server_conn *conn, enum host_role role)
{
    attempts_role(&conn->attempts, role);
}

bool server_conn_unfit(const struct server_conn *conn)
{
    return attempts_unfit(&conn->attempts);
}

void server_conn_untimed(struct server_conn *conn)
{
    if (conn->timeout)
        timer_stop(conn->timeout);
}

void server_conn_accepted(struct server_conn *conn)
{
    server_conn_untimed(conn);
    if (!conn->one_only)
        attempts_done(&conn->attempts);
}

bool server_conn_any_attrs(const struct server_conn *conn)
{
    return attempts_any_attrs(&conn->attempts);
}

const struct conn_host *server_conn_host(const struct server_conn *conn)
{
    return present_host(conn);
}

bool server_conn_is_tls(const struct server_conn *conn)
{
    return conn->stream.tls != NULL;
}

bool server_conn_is_unix(const struct server_conn *conn)
{
    return conn_addr_is_unix(&conn->step.addr);
}

enum login_cert server_conn_certificate(const struct server_conn *conn)
{
    return login_cert_over(conn->stream.tls);
}

static enum code send_login(void *to, struct bytes data, struct err *e)
{
    return server_conn_send(to, data, e);
}

struct login_line server_conn_line(struct server_conn *conn, void (*worked)(void *arg), void *arg)
{
    return (struct login_line){ .tls = conn->stream.tls,
                                .send = send_login,
                                .to = conn,
                                .loop = conn->worker->loop,
                                .worked = worked,
                                .arg = arg };
}

void server_conn_route(const struct server_conn *conn, struct cancel_route *out)
{
    out->addr = conn->step.addr;
    out->method = conn->step.method;
    out->host = conn->step.host;
}

void server_conn_take_stream(struct server_conn *conn, struct stream *out, poll_fn *fn, void *arg)
{
    stream_move(out, &conn->stream, fn, arg);
}

void server_conn_text(const struct server_conn *conn, char out[128])
{
    conn_addr_text(&conn->step.addr, out);
}
