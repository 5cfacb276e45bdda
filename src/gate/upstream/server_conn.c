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
#include "client/verify.h"
#include "gate/load/snapshot.h"
#include "gate/work/worker.h"
#include "net/resolve.h"
#include "net/socket.h"
#include "pki/cert.h"
#include "tls/context.h"
#include "tls/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LEG_ARENA_MAX = 256 * 1024,
    LEG_RETRY_MS = 10, /* a unix socket whose backlog is full answers EAGAIN */
    LEG_NAME_MAX = 256
};

enum server_conn_phase { LEG_RESOLVE, LEG_CONNECT, LEG_REPLY, LEG_HANDSHAKE, LEG_READY, LEG_FAILED };

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
    struct timer *kick;    /* defers what must not be told from inside a call */
    struct timer *timeout; /* connect_timeout; NULL: none is set */
    struct err last;       /* of the attempt that failed last */
};

static void act(struct server_conn *leg);
static void connected(struct server_conn *leg);
static void pass_on(struct server_conn *leg);
static void on_stream(void *arg, unsigned events);

/* ---- failures ---- */

static void tell_failed(struct server_conn *leg)
{
    leg->phase = LEG_FAILED;
    timer_set(leg->kick, 0);
}

/* libpq's words in front of a failure: which server? One that said something itself is known by its words. */
static void name_server(struct server_conn *leg, struct err *e)
{
    AUTO(buf) struct buf prefix = BUF_INIT(sizeof e->message);
    struct err bare = *e;

    if (leg->one_only || e->sqlstate[0] || str_starts(str_c(e->message), STR("connection to server ")))
        return;
    attempts_prefix(&leg->attempts, &prefix);
    (void)snprintf(e->message, sizeof e->message, "%s%s", buf_c(&prefix), bare.message);
}

/* The present attempt came to nothing; go to the next one. */
static void attempt_over(struct server_conn *leg, enum attempt_event event)
{
    if (event != EVENT_SERVER_ERROR && event != EVENT_SERVER_BUSY && event != EVENT_LATE_ERROR)
        name_server(leg, &leg->last);
    if (leg->one_only)
        leg->step.action = ATTEMPT_FAIL;
    else {
        attempts_event(&leg->attempts, event);
        leg->step = leg->attempts.step;
    }
    act(leg);
}

static void on_kick(void *arg)
{
    struct server_conn *leg = arg;

    if (leg->phase == LEG_FAILED)
        leg->owner.failed(leg->owner.arg, &leg->last);
    else if (leg->phase == LEG_READY)
        pass_on(leg);
    else if (leg->phase == LEG_CONNECT && leg->stream.fd >= 0 && server_conn_is_unix(leg))
        connected(leg);
    else
        act(leg);
}

static void on_timeout(void *arg)
{
    struct server_conn *leg = arg;

    if (leg->phase == LEG_FAILED)
        return;
    if (leg->phase == LEG_READY && leg->owner.lapsed)
        leg->owner.lapsed(leg->owner.arg);
    err_set(&leg->last, E_CONNECT, "timeout expired");
    attempt_over(leg, EVENT_TIMEOUT);
}

/* ---- TLS ---- */

static const struct conn_host *present_host(const struct server_conn *leg)
{
    return &leg->upstream->info.hosts[leg->step.host];
}

static void start_tls(struct server_conn *leg)
{
    char sni[LEG_NAME_MAX];
    struct str name = negotiate_sni(&leg->upstream->info, present_host(leg));
    struct tls_context *context = leg->upstream->tls ? leg->upstream->tls[leg->worker->index] : NULL;

    leg->phase = LEG_HANDSHAKE;
    if (!str_to_c(name, sni, sizeof sni))
        sni[0] = '\0';
    if (!context)
        err_set(&leg->last, E_INTERNAL, "no TLS context for this server");
    if (!context || stream_tls_connect(&leg->stream, context, sni, &leg->last) != OK) {
        attempt_over(leg, EVENT_TLS_FAILED);
        return;
    }
    stream_set_reading(&leg->stream, true);
}

/* Name and ALPN of a server whose chain the handshake has verified. */
static enum code check_server(struct server_conn *leg, struct err *e)
{
    AUTO(arena) struct arena scratch;
    struct cert_names names;
    AUTO(cert) X509 *cert = tls_engine_peer(leg->stream.tls);

    arena_init(&scratch, LEG_ARENA_MAX, 1024);
    TRY(negotiate_alpn(leg->step.method, tls_engine_alpn(leg->stream.tls) ? STR("postgresql") : STR(""), e));
    if (!cert)
        return err_set(e, E_TLS, "certificate could not be obtained");
    if (leg->upstream->files.verify_name) {
        TRY(cert_names_of(cert, &scratch, &names, e));
        TRY(verify_host(&names, present_host(leg)->host, e));
    }
    return OK;
}

static void become_ready(struct server_conn *leg)
{
    leg->phase = LEG_READY;
    stream_set_reading(&leg->stream, true);
    leg->owner.ready(leg->owner.arg);
}

static void handshake(struct server_conn *leg)
{
    struct bytes early = bytes_of(NULL, 0), plain;

    switch (stream_handshake(&leg->stream, early, &plain, &leg->last)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        if (check_server(leg, &leg->last) != OK)
            break;
        if (plain.n > 0) { /* a server speaks only when spoken to */
            err_set(&leg->last, E_PROTOCOL, "received data before the startup packet was sent");
            break;
        }
        become_ready(leg);
        return;
    case STREAM_EOF:
    case STREAM_FAIL:
        break;
    }
    attempt_over(leg, EVENT_TLS_FAILED);
}

/* ---- connecting ---- */

static void begin_method(struct server_conn *leg)
{
    AUTO(buf) struct buf hello = BUF_INIT(64);

    switch (leg->step.method) {
    case METHOD_PLAIN:
        become_ready(leg);
        return;
    case METHOD_TLS:
        negotiate_hello(METHOD_TLS, &hello);
        leg->phase = LEG_REPLY;
        if (stream_write(&leg->stream, buf_bytes(&hello), &leg->last) != OK) {
            attempt_over(leg, EVENT_CLOSED);
            return;
        }
        stream_set_reading(&leg->stream, true);
        return;
    case METHOD_DIRECT_TLS:
        start_tls(leg);
        return;
    }
}

static void connected(struct server_conn *leg)
{
    int why = server_conn_is_unix(leg) ? 0 : socket_connect_result(leg->stream.fd);

    stream_set_connecting(&leg->stream, false);
    if (why != 0) {
        err_set(&leg->last, E_CONNECT, "%s", strerror(why));
        attempt_over(leg, EVENT_CONNECT_FAILED);
        return;
    }
    if (conn_socket_check_peer(&leg->upstream->info, &leg->step.addr, leg->stream.fd, &leg->last) != OK) {
        attempt_over(leg, EVENT_LOCAL_ERROR);
        return;
    }
    begin_method(leg);
}

static void read_reply(struct server_conn *leg)
{
    struct bytes in;
    enum attempt_event event = EVENT_CLOSED;

    switch (stream_read(&leg->stream, &in, &leg->last)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        switch (negotiate_reply(in, &event, &leg->last)) {
        case NEGOTIATE_MORE:
            return;
        case NEGOTIATE_TLS:
            start_tls(leg);
            return;
        case NEGOTIATE_FAIL:
            break;
        }
        break;
    case STREAM_EOF:
        err_set(&leg->last, E_CLOSED, "server closed the connection unexpectedly");
        break;
    case STREAM_FAIL:
        break;
    }
    attempt_over(leg, event);
}

/* Returns false when the attempt failed at once, with leg->last set. */
static bool start_connect(struct server_conn *leg)
{
    struct address address = { .ss = leg->step.addr.ss, .n = leg->step.addr.n };
    int fd;

    stream_close(&leg->stream);
    leg->phase = LEG_CONNECT;
    enum code code = socket_connect(&address, &fd, &leg->last);
    if (code != OK && (errno == EMFILE || errno == ENFILE) &&
        leg->worker->hooks->needs_descriptor(leg->worker))
        code = socket_connect(&address, &fd, &leg->last);
    if (code != OK) {
        if (errno == EAGAIN && conn_addr_is_unix(&leg->step.addr)) {
            timer_set(leg->kick, LEG_RETRY_MS);
            return true;
        }
        return false;
    }
    conn_socket_tune(&leg->upstream->info, &leg->step.addr, fd);
    if (stream_open(&leg->stream, &leg->worker->room, fd, on_stream, leg) != OK) {
        err_set(&leg->last, E_NOMEM, "out of memory");
        return false;
    }
    if (server_conn_is_unix(leg))
        timer_set(leg->kick, 0); /* a unix socket is connected at once, or not at all */
    else
        stream_set_connecting(&leg->stream, true);
    uint32_t timeout_s = leg->upstream->info.connect_timeout_s;
    if (timeout_s > 0 && leg->step.new_address) {
        if (!leg->timeout)
            leg->timeout = timer_new(leg->worker->loop, on_timeout, leg);
        if (leg->timeout)
            timer_set(leg->timeout, (int64_t)timeout_s * 1000);
    }
    return true;
}

static void on_resolved(void *arg, int gai_error, const struct addrinfo *found, const char *name)
{
    struct server_conn *leg = arg;
    struct conn_addr addrs[HOST_ADDRESSES_MAX];
    size_t n = conn_addrs_found(gai_error == 0 ? found : NULL, addrs, HOST_ADDRESSES_MAX);

    (void)name;
    leg->resolve = NULL;
    if (n == 0)
        err_set(&leg->last, E_CONNECT, "could not translate host name \"%.*s\" to address: %s",
                STR_ARG(present_host(leg)->host), gai_strerror(gai_error ? gai_error : EAI_NONAME));
    if (attempts_resolved(&leg->attempts, addrs, n) != OK) {
        err_set(&leg->last, E_NOMEM, "out of memory");
        tell_failed(leg);
        return;
    }
    leg->step = leg->attempts.step;
    act(leg);
}

static bool start_resolve(struct server_conn *leg)
{
    char host[LEG_NAME_MAX];

    leg->phase = LEG_RESOLVE;
    stream_close(&leg->stream);
    if (leg->timeout) /* it was the address's before; a name is not timed, as in libpq */
        timer_stop(leg->timeout);
    if (!str_to_c(present_host(leg)->host, host, sizeof host))
        err_set(&leg->last, E_CONNECT, "host name is too long");
    else
        leg->resolve = resolve_forward(leg->worker->loop, &(struct resolve_name){ NULL, host, "" },
                                       on_resolved, leg);
    return leg->resolve != NULL;
}

/* Do what the sequence of attempts says next. */
static void act(struct server_conn *leg)
{
    switch (leg->step.action) {
    case ATTEMPT_RESOLVE:
        if (!start_resolve(leg))
            tell_failed(leg);
        return;
    case ATTEMPT_CONNECT:
        if (!start_connect(leg))
            attempt_over(leg, EVENT_CONNECT_FAILED);
        return;
    case ATTEMPT_CONTINUE:
        begin_method(leg);
        return;
    case ATTEMPT_FAIL:
        stream_close(&leg->stream);
        tell_failed(leg);
        return;
    }
}

/* ---- after ready ---- */

static void pass_on(struct server_conn *leg)
{
    struct bytes in;
    struct err e;

    switch (stream_read(&leg->stream, &in, &e)) {
    case STREAM_AGAIN:
        return;
    case STREAM_DATA:
        if (stream_over(&leg->stream))
            timer_set(leg->kick, 0); /* nothing else would tell that these were the last bytes */
        leg->owner.data(leg->owner.arg, in);
        return;
    case STREAM_EOF:
        err_set(&e, E_CLOSED, "server closed the connection unexpectedly");
        break;
    case STREAM_FAIL:
        break;
    }
    stream_set_reading(&leg->stream, false);
    name_server(leg, &e);
    leg->owner.closed(leg->owner.arg, &e);
}

static void on_stream(void *arg, unsigned events)
{
    struct server_conn *leg = arg;

    if (leg->phase == LEG_CONNECT) {
        connected(leg);
        return;
    }
    if (events & POLL_WRITE)
        (void)!stream_flush(&leg->stream, &leg->last); /* a broken socket shows itself at the next read */
    if (!(events & POLL_READ))
        return;
    switch (leg->phase) {
    case LEG_REPLY:
        read_reply(leg);
        return;
    case LEG_HANDSHAKE:
        handshake(leg);
        return;
    case LEG_READY:
        pass_on(leg);
        return;
    case LEG_RESOLVE:
    case LEG_CONNECT:
    case LEG_FAILED:
        return;
    }
}

/* ---- for the owner ---- */

static struct server_conn *server_conn_alloc(struct worker *worker, const struct upstream *upstream,
                                             const struct server_conn_owner *owner)
{
    struct server_conn *leg = calloc(1, sizeof *leg);

    if (!leg)
        return NULL;
    leg->worker = worker;
    leg->upstream = upstream;
    leg->owner = *owner;
    leg->stream.fd = -1;
    arena_init(&leg->arena, LEG_ARENA_MAX, 512);
    leg->kick = timer_new(worker->loop, on_kick, leg);
    if (!leg->kick) {
        server_conn_free(leg);
        return NULL;
    }
    return leg;
}

struct server_conn *server_conn_new(struct worker *worker, const struct upstream *upstream,
                                    const struct server_conn_owner *owner)
{
    struct server_conn *leg = server_conn_alloc(worker, upstream, owner);

    if (!leg)
        return NULL;
    if (attempts_init(&leg->attempts, &upstream->info, &worker->hosts, &worker->env, &leg->arena) != OK) {
        server_conn_free(leg);
        return NULL;
    }
    leg->step = leg->attempts.step;
    act(leg);
    return leg;
}

struct server_conn *server_conn_new_at(struct worker *worker, const struct upstream *upstream,
                                       const struct cancel_route *route,
                                       const struct server_conn_owner *owner)
{
    struct server_conn *leg = server_conn_alloc(worker, upstream, owner);

    if (!leg)
        return NULL;
    leg->one_only = true;
    leg->step = (struct attempt_step){ ATTEMPT_CONNECT, route->host, route->addr, route->method, true };
    act(leg);
    return leg;
}

void server_conn_free(struct server_conn *leg)
{
    if (!leg)
        return;
    stream_close(&leg->stream);
    resolve_cancel(leg->resolve);
    timer_close(leg->kick);
    timer_close(leg->timeout);
    arena_fini(&leg->arena);
    free(leg);
}

enum code server_conn_send(struct server_conn *leg, struct bytes data, struct err *e)
{
    if (leg->phase != LEG_READY)
        return err_set(e, E_CLOSED, "no connection to the server is ready");
    return stream_write(&leg->stream, data, e);
}

enum code server_conn_send_buf(struct server_conn *leg, const struct buf *data, struct err *e)
{
    if (!buf_ok(data))
        return err_set(e, E_NOMEM, "out of memory");
    return server_conn_send(leg, buf_bytes(data), e);
}

void server_conn_event(struct server_conn *leg, enum attempt_event event, const struct err *e)
{
    leg->last = *e;
    attempt_over(leg, event);
}

void server_conn_again(struct server_conn *leg)
{
    leg->step.action = ATTEMPT_CONNECT;
    leg->step.new_address = false; /* connect_timeout goes on */
    act(leg);
}

void server_conn_pass_over(struct server_conn *leg)
{
    host_cache_down(&leg->worker->hosts, &leg->step.addr, env_mono_us(&leg->worker->env));
}

void server_conn_role(struct server_conn *leg, enum host_role role)
{
    attempts_role(&leg->attempts, role);
}

bool server_conn_unfit(const struct server_conn *leg)
{
    return attempts_unfit(&leg->attempts);
}

void server_conn_untimed(struct server_conn *leg)
{
    if (leg->timeout)
        timer_stop(leg->timeout);
}

void server_conn_accepted(struct server_conn *leg)
{
    server_conn_untimed(leg);
    if (!leg->one_only)
        attempts_done(&leg->attempts);
}

bool server_conn_any_attrs(const struct server_conn *leg)
{
    return attempts_any_attrs(&leg->attempts);
}

const struct conn_host *server_conn_host(const struct server_conn *leg)
{
    return present_host(leg);
}

bool server_conn_is_tls(const struct server_conn *leg)
{
    return leg->stream.tls != NULL;
}

bool server_conn_is_unix(const struct server_conn *leg)
{
    return conn_addr_is_unix(&leg->step.addr);
}

enum login_cert server_conn_certificate(const struct server_conn *leg)
{
    return login_cert_over(leg->stream.tls);
}

static enum code send_login(void *to, struct bytes data, struct err *e)
{
    return server_conn_send(to, data, e);
}

struct login_line server_conn_line(struct server_conn *leg, void (*worked)(void *arg), void *arg)
{
    return (struct login_line){ .tls = leg->stream.tls,
                                .send = send_login,
                                .to = leg,
                                .loop = leg->worker->loop,
                                .worked = worked,
                                .arg = arg };
}

void server_conn_route(const struct server_conn *leg, struct cancel_route *out)
{
    out->addr = leg->step.addr;
    out->method = leg->step.method;
    out->host = leg->step.host;
}

void server_conn_take_stream(struct server_conn *leg, struct stream *out, poll_fn *fn, void *arg)
{
    stream_move(out, &leg->stream, fn, arg);
}

void server_conn_text(const struct server_conn *leg, char out[128])
{
    conn_addr_text(&leg->step.addr, out);
}
