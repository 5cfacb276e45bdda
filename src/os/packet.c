/* sendmsg(2) and recvmsg(2) with SCM_RIGHTS. */
#include "os/packet.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union rights {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(OS_PACKET_FDS * sizeof(int))];
};

bool os_packet_send(int socket, char type, struct bytes data, const int fds[OS_PACKET_FDS], bool wait)
{
    union rights room = { .bytes = { 0 } };
    struct iovec parts[] = { { &type, 1 }, { (void *)(uintptr_t)data.p, data.n } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = data.n > 0 ? 2 : 1 };
    size_t n = 0;
    ssize_t sent;

    while (fds && n < OS_PACKET_FDS && fds[n] >= 0)
        n++;
    if (n > 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE(n * sizeof fds[0]);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof fds[0]);
        memcpy(CMSG_DATA(head), fds, n * sizeof fds[0]);
    }
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

/* More than two never come: the kernel drops what has no room. */
static void take_rights(struct msghdr *message, struct os_packet *out)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);

    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return;
    size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof out->fds[0];
    memcpy(out->fds, CMSG_DATA(head), (n < OS_PACKET_FDS ? n : OS_PACKET_FDS) * sizeof out->fds[0]);
}

enum os_packet_result os_packet_receive(int socket, void *room, size_t size, struct os_packet *out, bool wait)
{
    union rights rights = { .bytes = { 0 } };
    struct iovec parts[] = { { &out->type, 1 }, { room, size - 1 } };
    struct msghdr message = { .msg_iov = parts,
                              .msg_iovlen = COUNT_OF(parts),
                              .msg_control = rights.bytes,
                              .msg_controllen = sizeof rights.bytes };
    ssize_t n;

    *out = (struct os_packet){ .fds = { -1, -1 } };
    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return OS_PACKET_NONE;
    if (n <= 0)
        return OS_PACKET_END;
    take_rights(&message, out);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        os_packet_close(out);
        return message.msg_flags & MSG_CTRUNC ? OS_PACKET_FULL : OS_PACKET_END;
    }
    out->data = bytes_of(room, (size_t)n - 1);
    ((char *)room)[n - 1] = '\0';
    return OS_PACKET_GOT;
}

void os_packet_close(struct os_packet *packet)
{
    for (size_t i = 0; i < OS_PACKET_FDS; i++) {
        if (packet->fds[i] >= 0)
            (void)close(packet->fds[i]);
        packet->fds[i] = -1;
    }
}
