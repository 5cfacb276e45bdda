#include "gate/work/link.h"

#include "base/env.h"

#include <errno.h>
#include <poll.h>

/* False: the time is over. */
static bool link_await(const struct link *link, short events)
{
    struct pollfd polled = { .fd = link->fd, .events = events };
    int64_t left_ms = (link->until_us - env_mono_us(link->env)) / 1000 + 1;

    if (left_ms <= 0)
        return false;
    if (link->stall_ms > 0 && left_ms > link->stall_ms)
        left_ms = link->stall_ms;
    return poll(&polled, 1, (int)left_ms) != 0;
}

bool link_send(const struct link *link, enum link_type type, struct bytes data, const int fds[OS_PACKET_FDS])
{
    while (!os_packet_send(link->fd, (char)type, data, fds, false))
        if ((errno != EAGAIN && errno != ENOBUFS && errno != ETOOMANYREFS) || !link_await(link, POLLOUT))
            return false;
    return true;
}

enum os_packet_result link_receive(const struct link *link, void *room, size_t size, struct os_packet *out)
{
    enum os_packet_result result;

    while ((result = os_packet_receive(link->fd, room, size, out, false)) == OS_PACKET_NONE)
        if (!link_await(link, POLLIN))
            return OS_PACKET_NONE;
    return result;
}

void link_set_limit(struct link *link, int64_t ms)
{
    link->until_us = env_mono_us(link->env) + ms * 1000;
}
