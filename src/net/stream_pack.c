/*
 * A connection between two processes.
 *
 * Readiness is asked of the kernel by whoever has the connection, and by level: so what happens while nobody asks is
 * told to the one who asks next.
 */
#include "net/stream_pack.h"

#include "tls/engine_pack.h"

bool stream_can_pack(const struct stream *stream)
{
    return stream->fd >= 0 && !stream->connecting && !stream->broken && !stream->tls_failed &&
           (stream->pending.n == 0 || !stream->unsendable) &&
           (!stream->tls || tls_engine_can_pack(stream->tls));
}

static void form_flags(struct stream *stream, struct form *f)
{
    form_bool(f, &stream->finishing);
    form_bool(f, &stream->eof);
    form_bool(f, &stream->unsendable);
    form_u64(f, &stream->received);
    form_u64(f, &stream->sent);
}

void stream_pack(struct stream *stream, struct form *f)
{
    bool tls = stream->tls != NULL;

    form_flags(stream, f);
    (void)form_bytes(f, buf_bytes(&stream->pending));
    form_bool(f, &tls);
    if (tls)
        tls_engine_pack(stream->tls, f);
}

static void take(struct stream *stream, struct form *f)
{
    bool tls = false;

    form_flags(stream, f);
    struct bytes pending = form_bytes(f, bytes_of(NULL, 0));
    form_require(f, pending.n <= stream->pending.limit && (pending.n == 0 || !stream->unsendable));
    if (form_ok(f) && pending.n > 0 && !buf_append(&stream->pending, pending))
        f->nomem = true;
    form_bool(f, &tls);
    if (tls && form_ok(f))
        stream->tls = tls_engine_take(stream->room->port, f);
}

bool stream_take(struct stream *stream, struct stream_room *room, const struct stream_end *end,
                 struct form *f)
{
    if (stream_open(stream, room, end->fd, end->fn, end->arg) != OK) {
        f->nomem = true;
        return false;
    }
    stream_hold(stream, true);
    take(stream, f);
    if (form_ok(f))
        return true;
    stream_close(stream);
    return false;
}
