/*
 * Pieces of sessions from another process (gate/session/pieces.h). What is put together is what came, in order, for one
 * worker; it goes in pieces again, and is put together again.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "fuzz.h"
#include "gate/session/pieces.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    WORKERS = 3,
    PACKETS_MAX = 64,
    WAIT_MS = 1000,
    PIECE_HEAD = 4,                    /* worker, first, last */
    NO_FD = 1 << 28,                   /* none of the process's own */
    PASSED_ON_MAX = 2 * PIECE_MAX + 10 /* what the socket holds */
};

static uint8_t room[OS_PACKET_MAX + 2];

static void pass_on(struct bytes packed)
{
    const struct env env = env_system();
    const int fds[PACK_FDS] = { STDIN_FILENO, STDIN_FILENO };
    struct assembly assembly, *whole = NULL;
    struct os_packet packet;
    int pair[2];

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    struct link link = { .fd = pair[0], .env = &env };
    link_set_limit(&link, WAIT_MS);
    CHECK(pieces_send(&link, 0, packed, fds));
    (void)close(pair[0]);
    link.fd = pair[1];
    assembly_init(&assembly);
    while (link_receive(&link, room, sizeof room, &packet) == OS_PACKET_GOT) {
        CHECK(!whole && pieces_take(&assembly, 1, &packet, &whole));
        CHECK(packet.fds[0] < 0 && packet.fds[1] < 0);
    }
    (void)close(pair[1]);
    CHECK(whole == &assembly && whole->fds[0] >= 0 && whole->fds[1] >= 0 && whole->packed.n == packed.n);
    CHECK(memcmp(whole->packed.p, packed.p, packed.n) == 0);
    assembly_fini(&assembly);
}

/* As it was sent: all bytes behind the head, since the first piece of this worker's. */
static void check_whole(struct assembly *whole, const struct buf *came)
{
    struct assembly taken = assembly_take(whole);

    CHECK(whole->packed.n == 0 && !whole->open && whole->fds[0] < 0 && whole->fds[1] < 0);
    CHECK(taken.packed.n == came->n && memcmp(taken.packed.p, came->p, came->n) == 0);
    CHECK(taken.fds[0] == NO_FD && taken.fds[1] == NO_FD + 1);
    if (taken.packed.n <= PASSED_ON_MAX)
        pass_on(buf_bytes(&taken.packed));
    assembly_fini(&taken);
}

/* Which descriptors come with it and how often its bytes are repeated, length, bytes. */
static struct bytes next_packet(struct bytes *rest, struct os_packet *out)
{
    uint8_t how = fuzz_byte(rest);
    struct bytes data = fuzz_chunk(rest);
    size_t n = 0;

    for (unsigned times = (unsigned)how >> 2; data.n <= sizeof room - 2 - n; times--) {
        memcpy(room + n, data.p, data.n);
        n += data.n;
        if (times == 0)
            break;
    }
    *out = (struct os_packet){ .type = LINK_SESSION,
                               .data = bytes_of(room, n),
                               .fds = { how & 1 ? NO_FD : -1, how & 2 ? NO_FD + 1 : -1 } };
    return bytes_from(out->data, PIECE_HEAD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct assembly assemblies[WORKERS];
    struct buf came[WORKERS];
    bool fine = true;

    for (int i = 0; i < WORKERS; i++) {
        assembly_init(&assemblies[i]);
        buf_init(&came[i], PACK_MAX);
    }
    for (int i = 0; fine && i < PACKETS_MAX && rest.n > 0; i++) {
        struct assembly *whole;
        struct os_packet packet;
        struct bytes bytes = next_packet(&rest, &packet);
        fine = pieces_take(assemblies, WORKERS, &packet, &whole);
        CHECK(fine || !whole);
        if (!fine)
            break;
        unsigned worker = room[0]; /* a number of two bytes, below 256 */
        CHECK(worker < WORKERS && buf_append(&came[worker], bytes) &&
              (!whole || whole == &assemblies[worker]));
        if (whole) {
            check_whole(whole, &came[worker]);
            buf_reset(&came[worker]);
        }
    }
    for (int i = 0; i < WORKERS; i++) {
        assembly_fini(&assemblies[i]);
        buf_fini(&came[i]);
    }
    return 0;
}
