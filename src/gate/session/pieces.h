/**
 * A session's bytes in pieces, each of which is a packet of the link (LINK_SESSION); and put together again.
 */
#ifndef PGSEAL_GATE_SESSION_PIECES_H
#define PGSEAL_GATE_SESSION_PIECES_H

#include "gate/session/pack.h"
#include "gate/work/link.h"

enum {
    PIECE_MAX = 32 * 1024,      /* bytes of a session in one packet */
    PIECES_PACKED_FIRST = 8192, /* room for most, so that no copy of keys is left where a buffer grew */
};

/** A session of which pieces are still to come. */
struct assembly {
    struct buf packed;
    int fds[PACK_FDS];
    bool open;
};

/** All pieces, the descriptors with the first. worker: by its number here. False: the other side is gone, or too slow. */
bool pieces_send(const struct link *link, unsigned worker, struct bytes packed, const int fds[PACK_FDS]);

void assembly_init(struct assembly *assembly);
/** Wiped, and its descriptors closed. */
void assembly_fini(struct assembly *assembly);
/**
 * One piece, for one of `n` assemblies, one for each worker of the old process. *out: that one, where it is whole now, and then
 * assembly_take() is due; otherwise NULL. The packet's descriptors are taken where they belong to it.
 *
 * False: it makes no sense, or memory ran out. Then no other piece may follow.
 */
MUST_CHECK bool pieces_take(struct assembly *assemblies, unsigned n, struct os_packet *packet,
                            struct assembly **out);
/** What was put together (returned to caller); the next session may begin. */
struct assembly assembly_take(struct assembly *whole);

#endif
