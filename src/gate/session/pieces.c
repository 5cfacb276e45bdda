#include "gate/session/pieces.h"

#include "base/secret.h"

#include <unistd.h>

/* Before each piece of a session. The descriptors come with the first one. */
struct piece {
    uint16_t worker; /* of the old process: its pieces follow each other */
    uint8_t first, last;
};

bool pieces_send(const struct link *link, unsigned worker, struct bytes packed, const int fds[PACK_FDS])
{
    uint8_t room[sizeof(struct piece) + PIECE_MAX];
    bool sent = true;

    for (size_t at = 0; sent && at < packed.n;) {
        size_t n = packed.n - at < PIECE_MAX ? packed.n - at : PIECE_MAX;
        const struct piece piece = { .worker = (uint16_t)worker,
                                     .first = at == 0,
                                     .last = at + n == packed.n };
        memcpy(room, &piece, sizeof piece);
        memcpy(room + sizeof piece, packed.p + at, n);
        sent = link_send(link, LINK_SESSION, bytes_of(room, sizeof piece + n), piece.first ? fds : NULL);
        wipe(room, sizeof piece + n);
        at += n;
    }
    return sent;
}

void assembly_init(struct assembly *assembly)
{
    *assembly = (struct assembly){ .fds = { -1, -1 } };
    buf_init(&assembly->packed, PACK_MAX);
}

void assembly_fini(struct assembly *assembly)
{
    buf_fini_secret(&assembly->packed);
    for (int i = 0; i < PACK_FDS; i++)
        if (assembly->fds[i] >= 0)
            (void)close(assembly->fds[i]);
    assembly_init(assembly);
}

struct assembly assembly_take(struct assembly *whole)
{
    struct assembly taken = *whole;

    assembly_init(whole);
    return taken;
}

bool pieces_take(struct assembly *assemblies, unsigned n, struct os_packet *packet, struct assembly **out)
{
    struct piece piece;

    *out = NULL;
    if (packet->data.n < sizeof piece)
        return false;
    memcpy(&piece, packet->data.p, sizeof piece);
    if (piece.worker >= n || piece.first > 1 || piece.last > 1)
        return false;
    struct assembly *to = &assemblies[piece.worker];
    bool both = packet->fds[0] >= 0 && packet->fds[1] >= 0;
    bool none = packet->fds[0] < 0 && packet->fds[1] < 0;
    if (to->open == (piece.first == 1) || !(piece.first == 1 ? both : none))
        return false;
    struct bytes bytes = bytes_from(packet->data, sizeof piece);
    if (bytes.n == 0 || bytes.n > PIECE_MAX)
        return false;
    if (piece.first == 1) {
        memcpy(to->fds, packet->fds, sizeof to->fds);
        packet->fds[0] = packet->fds[1] = -1;
        to->open = true;
        (void)buf_reserve(&to->packed, PIECES_PACKED_FIRST);
    }
    if (!buf_append(&to->packed, bytes))
        return false;
    if (piece.last == 1)
        *out = to;
    return true;
}
