/**
 * One connected socket, with or without TLS, over buffers that its worker lends.
 *
 * A wake-up costs one recv and, per batch, one send. Nothing is kept for an idle connection but its TLS
 * session: input is decrypted to its end at once, and only output that the socket does not take is stored
 * (`pending`); while there is some, the owner stops reading the other side.
 *
 * Where a function fills a `struct err`, NULL may be given: an error is 2 KB, and not everybody reads it.
 */
#ifndef PGSEAL_NET_STREAM_H
#define PGSEAL_NET_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "net/loop.h"

struct tls_context;
struct tls_engine;
struct tls_port;

/** The buffers of one worker, used by one stream at a time. */
struct stream_room {
    struct loop *loop;
    uint8_t *in;    /* what recv gives */
    uint8_t *plain; /* what is decrypted */
    uint8_t *out;   /* what is encrypted */
    struct tls_port *port;
    uint8_t *memory;
};

bool stream_room_init(struct stream_room *room, struct loop *loop);
void stream_room_fini(struct stream_room *room);

struct stream {
    struct stream_room *room;
    struct poll *poll;
    struct tls_engine *tls; /* NULL: no TLS */
    int fd;                 /* -1: closed */
    bool reading;           /* wants to be told of input */
    bool connecting;        /* wants to be told when connect(2) has ended */
    bool finishing;         /* shut the sending side when `pending` is empty */
    bool eof;               /* the peer has ended its side */
    bool broken;            /* the socket failed: neither way any more */
    bool unsendable;        /* a send failed; what the peer said before may still be read */
    bool tls_failed;        /* the TLS session failed; an alert may still be on its way */
    bool held;              /* nothing goes either way until another process has it, or this one again */
    int error;              /* errno of what failed first; 0: nothing did */
    struct buf pending;
    uint64_t received, sent; /* bytes on the socket */
};

enum stream_status { STREAM_DATA, STREAM_AGAIN, STREAM_EOF, STREAM_FAIL };

/** Take over `fd` (also on failure). `fn` is told of readiness. */
MUST_CHECK enum code stream_open(struct stream *stream, struct stream_room *room, int fd, poll_fn *fn,
                                 void *arg);
/** At once; nothing more is sent. Harmless on a stream that is zeroed with fd -1, or closed. */
void stream_close(struct stream *stream);

/** Want input or not. */
void stream_set_reading(struct stream *stream, bool reading);
/** Hear of nothing, read and send nothing, until it is let go: what comes meanwhile waits in the kernel. */
void stream_hold(struct stream *stream, bool held);
/** Want to hear, as writability, that connect(2) has ended. */
void stream_set_connecting(struct stream *stream, bool connecting);
/** Move the connection to another owner; `from` is closed to its former one. */
void stream_move(struct stream *to, struct stream *from, poll_fn *fn, void *arg);
/** True while output waits for the socket. */
static inline bool stream_blocked(const struct stream *stream)
{
    return stream->pending.n > 0;
}
/** True when nothing more will come: the next stream_read() says so at once, and no readiness is told any
 * more. */
static inline bool stream_over(const struct stream *stream)
{
    return stream->eof || stream->broken || stream->tls_failed;
}
/** Send what is pending. E_CLOSED when the socket is broken. Called when writable. */
MUST_CHECK enum code stream_flush(struct stream *stream, struct err *e);

/**
 * One recv. STREAM_DATA: `out` is borrowed until the next call on any stream of this worker. STREAM_AGAIN:
 * nothing yet. STREAM_EOF: the peer ended its side in order. STREAM_FAIL: `e` says how it broke. STREAM_DATA
 * may come with `stream->eof` or `stream->broken` set; the next call then tells.
 */
enum stream_status stream_read(struct stream *stream, struct bytes *out, struct err *e);
/** True when the peer has begun to say something that has not come whole: a TLS record. */
bool stream_midway(const struct stream *stream);
/** Overwrite what a read has lent: before relay it may be a password. */
void stream_wipe(struct bytes read);
/** The secrets are over: what is read from here on leaves its traces as any traffic does, and costs less. */
void stream_relax(struct stream *stream);
/** One recv whose bytes nobody wants. False when the peer has ended or the socket broke. */
bool stream_discard(struct stream *stream);
/** Encrypt and send; what the socket does not take waits. E_CLOSED, E_TLS, E_LIMIT. */
MUST_CHECK enum code stream_write(struct stream *stream, struct bytes data, struct err *e);
/** Say close_notify (with TLS) and end our side once everything is sent. */
void stream_finish(struct stream *stream);

/** Begin TLS as the server. The handshake goes on in stream_handshake(). E_NOMEM. */
MUST_CHECK enum code stream_tls_accept(struct stream *stream, struct tls_context *context);
/** Begin TLS as the client: sends the ClientHello. sni: NULL or "" sends none. */
MUST_CHECK enum code stream_tls_connect(struct stream *stream, struct tls_context *context, const char *sni,
                                        struct err *e);
/**
 * Go on with the handshake; `early` are bytes that were received before TLS began (may be empty; then one
 * recv).
 *
 * STREAM_DATA: done; `out` holds what was decrypted after it, may be empty. STREAM_AGAIN: needs more.
 * STREAM_FAIL: `e` says why; an alert has been sent as far as the socket took it.
 */
enum stream_status stream_handshake(struct stream *stream, struct bytes early, struct bytes *out,
                                    struct err *e);

#endif
