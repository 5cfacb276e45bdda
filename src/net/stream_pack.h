/**
 * A connection as bytes and a descriptor for the process that takes it over, and back.
 */
#ifndef PGSEAL_NET_STREAM_PACK_H
#define PGSEAL_NET_STREAM_PACK_H

#include "base/form.h"
#include "net/stream.h"

/** It is connected and in order, and its TLS session, if there is one, is ours. */
bool stream_can_pack(const struct stream *stream);
/** After stream_can_pack(), of one that is held. Secrets among it. */
void stream_pack(struct stream *stream, struct form *f);
/** The descriptor that came with the bytes, and who is told of its readiness. */
struct stream_end {
    int fd;
    poll_fn *fn;
    void *arg;
};

/**
 * What stream_pack() has written: held. end->fd: taken, also on failure. Texts of its TLS session live in the form's
 * arena. False: `f` says why, and the stream is closed.
 */
MUST_CHECK bool stream_take(struct stream *stream, struct stream_room *room, const struct stream_end *end,
                            struct form *f);

#endif
