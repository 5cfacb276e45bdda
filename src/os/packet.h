/**
 * Packets over a SOCK_SEQPACKET socket between two processes of a gate: a type, bytes, and descriptors that go along.
 */
#ifndef PGSEAL_OS_PACKET_H
#define PGSEAL_OS_PACKET_H

#include "base/slice.h"

#include <stdbool.h>

enum { OS_PACKET_FDS = 2 /* at most */, OS_PACKET_MAX = 64 * 1024 /* bytes behind the type */ };

enum os_packet_result {
    OS_PACKET_GOT,
    OS_PACKET_NONE, /* not now: the socket does not block */
    OS_PACKET_FULL, /* the process may not have as many descriptors; the packet is lost */
    OS_PACKET_END   /* the other process has closed it, or what came is no packet */
};

struct os_packet {
    char type;
    struct bytes data;      /* in the room that was lent, with a NUL behind it */
    int fds[OS_PACKET_FDS]; /* the receiver's, close-on-exec; -1: none */
};

/**
 * Never raises SIGPIPE. fds: borrowed, up to the first -1; NULL: none go along. False: errno says why; EAGAIN where there is no
 * room now, and it does not block (`wait`: it does).
 */
bool os_packet_send(int socket, char type, struct bytes data, const int fds[OS_PACKET_FDS], bool wait);
/** One packet into `room`, of which `size` is at least 2 bytes. */
enum os_packet_result os_packet_receive(int socket, void *room, size_t size, struct os_packet *out,
                                        bool wait);
/** The descriptors that nobody has taken. */
void os_packet_close(struct os_packet *packet);

#endif
