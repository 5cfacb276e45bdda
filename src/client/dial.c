/* Connections that wait in poll(2). */
#include "client/dial.h"

#include "base/buf.h"
#include "base/env.h"
#include "client/hosts.h"
#include "net/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define CLOSED_TEXT                                                                                          \
    "server closed the connection unexpectedly\n"                                                            \
    "\tThis probably means the server terminated abnormally\n\tbefore or while processing the request."

struct dial *dial_new(const struct env *env, struct tls_port *port)
{
    struct dial *dial = calloc(1, sizeof *dial);

    if (!dial)
        return NULL;
    dial->env = env;
    dial->port = port;
    dial->fd = -1;
    return dial;
}

void dial_free(struct dial *dial)
{
    if (!dial)
        return;
    dial_close(dial);
    tls_engine_free(dial->tls);
    free(dial);
}

void dial_auto(struct dial **dial)
{
    dial_free(*dial);
}

static enum code timed_out(struct dial *dial, struct err *e)
{
    dial->timed_out = true;
    return err_set(e, E_CONNECT, "timeout expired");
}

/* A socket that broke, in libpq's words. */
static enum code broken(const struct dial *dial, const char *what, int error, struct err *e)
{
    if (dial->tls)
        return err_set(e, E_CLOSED, "SSL SYSCALL error: %s", strerrordesc_np(error));
    if (error == EPIPE || error == ECONNRESET)
        return err_set(e, E_CLOSED, CLOSED_TEXT);
    return err_set(e, E_CLOSED, "%s: %s", what, strerrordesc_np(error));
}

/* Until the socket is ready or the deadline has come. */
static enum code wait_for(struct dial *dial, short events, struct err *e)
{
    for (;;) {
        int64_t left_us = dial->deadline_us - env_mono_us(dial->env);
        struct pollfd p = { .fd = dial->fd, .events = events };
        if (left_us <= 0)
            return timed_out(dial, e);
        int n = poll(&p, 1, (int)(left_us / 1000) + 1);
        if (n > 0)
            return OK;
        if (n < 0 && errno != EINTR)
            return err_set(e, E_CONNECT, "poll() failed: %s", strerrordesc_np(errno));
    }
}

static void reset(struct dial *dial)
{
    dial_close(dial);
    tls_engine_free(dial->tls);
    dial->tls = NULL;
    dial->left = bytes_of(dial->in, 0);
    dial->eof = dial->timed_out = false;
}

enum code dial_open(struct dial *dial, const struct address *addr, unsigned timeout_s, struct err *e)
{
    struct address address = { .ss = addr->ss, .n = addr->n };

    reset(dial);
    dial->deadline_us = env_mono_us(dial->env) + (int64_t)timeout_s * 1000000;
    TRY(socket_connect(&address, &dial->fd, e));
    TRY(wait_for(dial, POLLOUT, e));
    int error = socket_connect_result(dial->fd);
    return error == 0 ? OK : err_set(e, E_CONNECT, "%s", strerrordesc_np(error));
}

static enum code send_raw(struct dial *dial, struct bytes data, struct err *e)
{
    while (data.n > 0) {
        ssize_t n = send(dial->fd, data.p, data.n, MSG_NOSIGNAL);
        if (n > 0)
            data = bytes_from(data, (size_t)n);
        else if (n < 0 && errno == EAGAIN)
            TRY(wait_for(dial, POLLOUT, e));
        else if (n < 0 && errno == EINTR)
            continue;
        else
            return broken(dial, "could not send data to server", errno, e);
    }
    return OK;
}

/* Refill `left`; it is empty before. At the end of the stream `eof` is set and nothing is there. */
static enum code receive_raw(struct dial *dial, struct err *e)
{
    for (;;) {
        ssize_t n = recv(dial->fd, dial->in, sizeof dial->in, 0);
        if (n > 0) {
            dial->left = bytes_of(dial->in, (size_t)n);
            return OK;
        }
        if (n == 0) {
            dial->eof = true;
            return OK;
        }
        if (errno == EAGAIN)
            TRY(wait_for(dial, POLLIN, e));
        else if (errno != EINTR)
            return broken(dial, "could not receive data from server", errno, e);
    }
}

static struct tls_io io_of(struct dial *dial)
{
    return (
        struct tls_io){ .in = dial->left, .eof = dial->eof, .out = dial->out, .out_size = sizeof dial->out };
}

/* Behind a step of the engine: what it left, what it wants sent. */
static enum code io_done(struct dial *dial, const struct tls_io *io, struct err *e)
{
    dial->left = io->in;
    return send_raw(dial, bytes_of(dial->out, io->out_n), e);
}

/* libpq prints the advice on protocol versions as a second line of the message. */
static enum code tls_failed(struct err *e)
{
    size_t n = strlen(e->message);

    if (e->hint[0] && n + strlen(e->hint) + 2 < sizeof e->message) {
        e->message[n] = '\n';
        memcpy(e->message + n + 1, e->hint, strlen(e->hint) + 1);
        e->hint[0] = '\0';
    }
    return E_TLS;
}

enum code dial_handshake(struct dial *dial, struct tls_context *context, const char *sni, bool alpn,
                         struct err *e)
{
    struct err ignored;

    dial->tls = tls_engine_new_client(dial->port, context, sni, alpn);
    if (!dial->tls)
        return err_set(e, E_NOMEM, "could not establish SSL connection: out of memory");
    for (;;) {
        struct tls_io io = io_of(dial);
        enum tls_status status = tls_engine_handshake(dial->tls, &io, e);
        if (status == TLS_FAILED || status == TLS_CLOSED) {
            (void)!io_done(dial, &io, &ignored); /* the alert, as far as it gets */
            return tls_failed(e);
        }
        TRY(io_done(dial, &io, e));
        if (status == TLS_DONE)
            return OK;
        if (status == TLS_WANT_INPUT)
            TRY(receive_raw(dial, e));
    }
}

static enum code send_tls(struct dial *dial, struct bytes data, struct err *e)
{
    while (data.n > 0) {
        struct tls_io io = io_of(dial);
        size_t n = 0;
        enum tls_status status = tls_engine_write(dial->tls, &io, data, &n, e);
        TRY(io_done(dial, &io, e));
        data = bytes_from(data, n);
        if (status == TLS_FAILED)
            return tls_failed(e);
        if (status == TLS_CLOSED)
            return err_set(e, E_CLOSED, "SSL connection has been closed unexpectedly");
        if (status == TLS_WANT_INPUT)
            TRY(receive_raw(dial, e));
    }
    return OK;
}

enum code dial_send(struct dial *dial, struct bytes data, struct err *e)
{
    return dial->tls ? send_tls(dial, data, e) : send_raw(dial, data, e);
}

static enum code receive_tls(struct dial *dial, struct buf *in, struct err *e)
{
    for (;;) {
        struct tls_io io = io_of(dial);
        size_t n = 0;
        if (!buf_reserve(in, DIAL_ROOM))
            return err_set(e, E_NOMEM, "out of memory");
        enum tls_status status = tls_engine_read(dial->tls, &io, bytes_of(in->p + in->n, DIAL_ROOM), &n, e);
        in->n += n;
        struct err ignored;
        enum code sent = io_done(dial, &io, &ignored);
        if (n > 0)
            return OK;
        if (status == TLS_FAILED)
            return tls_failed(e);
        if (status == TLS_CLOSED)
            return err_set(e, E_CLOSED, "SSL connection has been closed unexpectedly");
        if (sent != OK) {
            *e = ignored;
            return sent;
        }
        TRY(receive_raw(dial, e));
    }
}

enum code dial_receive(struct dial *dial, struct buf *in, struct err *e)
{
    if (dial->tls)
        return receive_tls(dial, in, e);
    if (dial->left.n == 0)
        TRY(receive_raw(dial, e));
    if (dial->left.n == 0)
        return err_set(e, E_CLOSED, CLOSED_TEXT);
    bool ok = buf_append(in, dial->left);
    dial->left = bytes_of(dial->in, 0);
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

void dial_close(struct dial *dial)
{
    struct err ignored;

    if (dial->fd < 0)
        return;
    if (dial->tls) {
        struct tls_io io = io_of(dial);
        tls_engine_close(dial->tls, &io);
        (void)!io_done(dial, &io, &ignored);
    }
    (void)close(dial->fd);
    dial->fd = -1;
}
