/* Sockets with or without TLS over a worker's buffers. */
#include "net/stream.h"

#include "base/check.h"
#include "base/secret.h"
#include "tls/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM_IN = 64 * 1024,
    ROOM_PLAIN = ROOM_IN + 32 * 1024, /* all of `in`, and the record that had begun before */
    ROOM_OUT = ROOM_PLAIN + 4 * 1024, /* all of a read as records: a batch is one send */
    ROOM_ALIGN = 4096,
    /* Off OpenSSL's own alignment: equal page offsets make the copy into the record buffer slow. */
    ROOM_OUT_OFFSET = 2048,
    STREAM_PENDING_MAX = 1 << 20, /* one batch of output and what closing adds; far above both */
    STREAM_BULK = 32 * 1024       /* a read or write of this size is a transfer, not a question */
};

bool stream_room_init(struct stream_room *room, struct loop *loop)
{
    *room = (struct stream_room){ .loop = loop, .port = tls_port_new() };
    room->memory = aligned_alloc(ROOM_ALIGN, ROOM_IN + ROOM_PLAIN + ROOM_OUT + ROOM_ALIGN);
    if (!room->memory || !room->port) {
        stream_room_fini(room);
        return false;
    }
    room->in = room->memory;
    room->plain = room->in + ROOM_IN;
    room->out = room->plain + ROOM_PLAIN + ROOM_OUT_OFFSET;
    return true;
}

void stream_room_fini(struct stream_room *room)
{
    tls_port_free(room->port);
    free(room->memory);
    *room = (struct stream_room){ 0 };
}

enum code stream_open(struct stream *stream, struct stream_room *room, int fd, poll_fn *fn, void *arg)
{
    *stream = (struct stream){ .room = room, .fd = fd, .pending = BUF_INIT(STREAM_PENDING_MAX) };
    stream->poll = poll_new(room->loop, fd, fn, arg);
    if (!stream->poll) {
        stream_close(stream);
        return E_NOMEM;
    }
    return OK;
}

void stream_close(struct stream *stream)
{
    poll_close(stream->poll);
    stream->poll = NULL;
    tls_engine_free(stream->tls);
    stream->tls = NULL;
    buf_fini_secret(&stream->pending);
    if (stream->fd >= 0)
        (void)close(stream->fd);
    stream->fd = -1;
}

static void update_poll(struct stream *stream)
{
    unsigned events = 0;

    if (stream->reading && !stream_over(stream))
        events |= POLL_READ;
    if ((stream->pending.n > 0 || stream->connecting) && !stream->broken && !stream->unsendable)
        events |= POLL_WRITE;
    poll_set(stream->poll, stream->held ? 0 : events);
}

void stream_set_reading(struct stream *stream, bool reading)
{
    stream->reading = reading;
    update_poll(stream);
}

void stream_hold(struct stream *stream, bool held)
{
    stream->held = held;
    update_poll(stream);
}

void stream_set_connecting(struct stream *stream, bool connecting)
{
    stream->connecting = connecting;
    update_poll(stream);
}

void stream_move(struct stream *to, struct stream *from, poll_fn *fn, void *arg)
{
    *to = *from;
    *from = (struct stream){ .room = to->room, .fd = -1 };
    poll_rebind(to->poll, fn, arg);
}

/* ---- output ---- */

static void end_if_finished(struct stream *stream)
{
    /* Where the peer has ended its side too, closing follows at once and says the same. */
    if (stream->finishing && stream->pending.n == 0 && !stream->eof)
        (void)shutdown(stream->fd, SHUT_WR);
}

static enum code write_failed(struct stream *stream, struct err *e)
{
    int why = errno;

    stream->error = stream->error ? stream->error : why;
    stream->unsendable = true;
    buf_fini_secret(&stream->pending);
    update_poll(stream);
    return err_set(e, E_CLOSED, "could not send data: %s", strerror(why));
}

/* Bytes as they go on the wire. */
static enum code send_raw(struct stream *stream, struct bytes data, struct err *e)
{
    CHECK(!stream->held);
    if (stream->broken || stream->unsendable)
        return err_set(e, E_CLOSED, "connection is broken");
    if (stream->pending.n == 0 && data.n > 0) {
        ssize_t n = send(stream->fd, data.p, data.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return write_failed(stream, e);
        if (n > 0) {
            stream->sent += (uint64_t)n;
            data = bytes_from(data, (size_t)n);
        }
    }
    if (data.n > 0) {
        if (!buf_append(&stream->pending, data)) {
            stream->unsendable = true;
            return err_set(e, E_LIMIT, "too much output waits for the peer");
        }
        update_poll(stream);
    }
    return OK;
}

enum code stream_flush(struct stream *stream, struct err *e)
{
    CHECK(!stream->held);
    if (stream->broken || stream->unsendable)
        return err_set(e, E_CLOSED, "connection is broken");
    if (stream->pending.n == 0)
        return OK;
    ssize_t n = send(stream->fd, stream->pending.p, stream->pending.n, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return write_failed(stream, e);
    if (n > 0) {
        stream->sent += (uint64_t)n;
        buf_consume(&stream->pending, (size_t)n);
    }
    if (stream->pending.n == 0)
        buf_fini(&stream->pending); /* memory is for those who need it now */
    end_if_finished(stream);
    update_poll(stream);
    return OK;
}

/* The TLS session is of no use any more; what it said last may still wait in `pending`. */
static enum stream_status tls_gone(struct stream *stream)
{
    stream->tls_failed = true;
    update_poll(stream);
    return STREAM_FAIL;
}

static struct tls_io lend(struct stream *stream, struct bytes in)
{
    CHECK(!stream->held);
    return (struct tls_io){ .in = in, .eof = stream->eof, .out = stream->room->out, .out_size = ROOM_OUT };
}

static enum code send_out(struct stream *stream, struct tls_io *io, struct err *e)
{
    struct bytes out = bytes_of(io->out, io->out_n);

    io->out_n = 0;
    return out.n > 0 ? send_raw(stream, out, e) : OK;
}

enum code stream_write(struct stream *stream, struct bytes data, struct err *e)
{
    size_t n;

    if (!stream->tls)
        return send_raw(stream, data, e);
    if (stream->tls_failed)
        return err_set(e, E_CLOSED, "TLS session has failed");
    struct tls_io io = lend(stream, bytes_of(NULL, 0));
    tls_engine_set_bulk(stream->tls, data.n >= STREAM_BULK);
    for (;;) {
        enum tls_status status = tls_engine_write(stream->tls, &io, data, &n, e);
        data = bytes_from(data, n);
        enum code sent = send_out(stream, &io, e);
        if (status == TLS_FAILED || status == TLS_CLOSED || status == TLS_WANT_INPUT) {
            (void)tls_gone(stream);
            return status == TLS_FAILED ? E_TLS : err_set(e, E_CLOSED, "TLS session is closed");
        }
        TRY(sent);
        if (status == TLS_DONE)
            return OK;
    }
}

void stream_finish(struct stream *stream)
{
    if (stream->fd < 0 || stream->finishing || stream->broken || stream->unsendable)
        return;
    CHECK(!stream->held);
    stream->finishing = true;
    if (stream->tls) {
        struct tls_io io = lend(stream, bytes_of(NULL, 0));
        tls_engine_close(stream->tls, &io);
        (void)!send_out(stream, &io, NULL);
    }
    end_if_finished(stream);
}

/* ---- input ---- */

/* One recv into `dst`. */
static enum stream_status receive(struct stream *stream, uint8_t *dst, size_t size, size_t *out_n,
                                  struct err *e)
{
    CHECK(!stream->held);
    ssize_t n = recv(stream->fd, dst, size, 0);
    *out_n = 0;
    if (n > 0) {
        *out_n = (size_t)n;
        stream->received += (uint64_t)n;
        return STREAM_DATA;
    }
    if (n == 0) {
        stream->eof = true;
        update_poll(stream);
        return STREAM_EOF;
    }
    if (errno == EAGAIN || errno == EINTR)
        return STREAM_AGAIN;
    stream->error = stream->error ? stream->error : errno;
    err_set(e, E_CLOSED, "could not receive data: %s", strerror(errno));
    stream->broken = true;
    update_poll(stream);
    return STREAM_FAIL;
}

/* Decrypt all of `io->in`; what TLS wants to say meanwhile is sent. */
static enum stream_status decrypt(struct stream *stream, struct tls_io *io, struct bytes *out, struct err *e)
{
    size_t n = 0;

    tls_engine_set_bulk(stream->tls, io->in.n >= STREAM_BULK);
    enum tls_status status = tls_engine_read(stream->tls, io, bytes_of(stream->room->plain, ROOM_PLAIN), &n,
                                             e);
    *out = bytes_of(stream->room->plain, n);
    (void)!send_out(stream, io, NULL);
    switch (status) {
    case TLS_DONE: /* a batch never fills `plain` */
    case TLS_WANT_INPUT:
    case TLS_WANT_ROOM:
        return n > 0 ? STREAM_DATA : STREAM_AGAIN;
    case TLS_CLOSED:
        stream->eof = true;
        update_poll(stream);
        return n > 0 ? STREAM_DATA : STREAM_EOF;
    case TLS_FAILED:
        (void)tls_gone(stream);
        return n > 0 ? STREAM_DATA : STREAM_FAIL;
    }
    return STREAM_FAIL;
}

enum stream_status stream_read(struct stream *stream, struct bytes *out, struct err *e)
{
    size_t n;

    *out = bytes_of(stream->room->in, 0);
    if (stream->broken || stream->tls_failed) {
        err_set(e, E_CLOSED, "connection is broken");
        return STREAM_FAIL;
    }
    if (stream->eof)
        return STREAM_EOF;
    enum stream_status status = receive(stream, stream->room->in, ROOM_IN, &n, e);
    if (status == STREAM_FAIL || status == STREAM_AGAIN)
        return status;
    *out = bytes_of(stream->room->in, n);
    if (!stream->tls)
        return status;
    struct tls_io io = lend(stream, *out);
    status = decrypt(stream, &io, out, e);
    if (status == STREAM_AGAIN && (stream->broken || stream->unsendable)) { /* what TLS had to answer */
        err_set(e, E_CLOSED, "connection is broken");
        return STREAM_FAIL;
    }
    if (stream->eof && status == STREAM_AGAIN) /* end of file between records is told by TLS as a failure */
        return STREAM_EOF;
    return status;
}

bool stream_midway(const struct stream *stream)
{
    return stream->tls && tls_engine_midway(stream->tls);
}

void stream_wipe(struct bytes read)
{
    wipe((uint8_t *)(uintptr_t)read.p, read.n); /* memory of a worker's room, writable */
}

void stream_relax(struct stream *stream)
{
    if (stream->tls)
        tls_engine_relax(stream->tls);
}

bool stream_discard(struct stream *stream)
{
    size_t n;

    enum stream_status status = receive(stream, stream->room->in, ROOM_IN, &n, NULL);
    return status == STREAM_DATA || status == STREAM_AGAIN;
}

/* ---- TLS ---- */

enum code stream_tls_accept(struct stream *stream, struct tls_context *context)
{
    stream->tls = tls_engine_new_server(stream->room->port, context);
    return stream->tls ? OK : E_NOMEM;
}

enum code stream_tls_connect(struct stream *stream, struct tls_context *context, const char *sni,
                             struct err *e)
{
    stream->tls = tls_engine_new_client(stream->room->port, context, sni, true);
    if (!stream->tls)
        return err_set(e, E_NOMEM, "out of memory");
    struct tls_io io = lend(stream, bytes_of(NULL, 0));
    if (tls_engine_handshake(stream->tls, &io, e) == TLS_FAILED)
        return E_TLS;
    return send_out(stream, &io, e);
}

enum stream_status stream_handshake(struct stream *stream, struct bytes early, struct bytes *out,
                                    struct err *e)
{
    size_t n = 0;
    enum tls_status status;

    *out = bytes_of(stream->room->plain, 0);
    if (early.n == 0) {
        enum stream_status got = receive(stream, stream->room->in, ROOM_IN, &n, e);
        if (got == STREAM_FAIL || got == STREAM_AGAIN)
            return got;
        early = bytes_of(stream->room->in, n);
    }
    struct tls_io io = lend(stream, early);
    do {
        status = tls_engine_handshake(stream->tls, &io, e);
        (void)!send_out(stream, &io, NULL);
    } while (status == TLS_WANT_ROOM);
    if (status == TLS_WANT_INPUT)
        return STREAM_AGAIN;
    if (status != TLS_DONE)
        return tls_gone(stream);
    if (io.in.n == 0)
        return STREAM_DATA;
    return decrypt(stream, &io, out, e) == STREAM_FAIL ? STREAM_FAIL : STREAM_DATA;
}
