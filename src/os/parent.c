/* The gate's end of what ties it to its parent. */
#include "os/parent.h"

#include "os/notify.h"
#include "os/packet.h"
#include "os/signal_mask.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 5000 };

static struct {
    struct parent_shared *shared; /* NULL: there is no parent */
    int status;                   /* of os_signal_mask_open() for the parent */
} above = { .status = -1 };

void parent_join(const struct parent_ties *ties, struct parent_shared *shared)
{
    above.status = os_signal_mask_open(getppid());
    above.shared = shared;
    os_notify_through(ties->line);
}

static bool say(int line, char type, const char *text)
{
    return os_packet_send(line, type, bytes_of(text, strlen(text)), NULL, true);
}

enum code parent_clerk(int line, int *out_fd, struct err *e)
{
    char room[PARENT_PACKET_MAX];
    struct pollfd answer = { .fd = line, .events = POLLIN };
    struct os_packet packet;

    if (line < 0 || !say(line, 'S', "") || poll(&answer, 1, ANSWER_MS) != 1 ||
        os_packet_receive(line, room, sizeof room, &packet, true) != OS_PACKET_GOT)
        return err_set(e, E_BAD_STATE, "no process that runs statements could be started");
    if (packet.type == 'F' && packet.fds[0] >= 0) {
        *out_fd = packet.fds[0];
        return OK;
    }
    os_packet_close(&packet);
    return err_set(e, E_BAD_STATE, "no process that runs statements could be started: %s", room);
}

void parent_end_clerk(int line)
{
    if (line >= 0)
        (void)say(line, 'K', "");
}

/* In this order: what is not pending any more was marked before, and is pending here when the mark has gone. */
bool parent_has_signal(int signum)
{
    return above.shared &&
           (os_signal_mask_has(above.status, "ShdPnd", signum) || atomic_load(&above.shared->forwarding));
}

void parent_log_as(enum log_format format)
{
    if (above.shared)
        atomic_store(&above.shared->json, format == LOG_JSON);
}

void parent_tell(int line, enum parent_word word, const char *text)
{
    if (line >= 0)
        (void)say(line, (char)word, text);
}

enum parent_order parent_ordered(int orders, int *out_link)
{
    char room[PARENT_PACKET_MAX];
    struct os_packet packet;

    switch (os_packet_receive(orders, room, sizeof room, &packet, false)) {
    case OS_PACKET_NONE:
        return PARENT_NOTHING;
    case OS_PACKET_FULL:
    case OS_PACKET_END:
        return PARENT_GONE;
    case OS_PACKET_GOT:
        break;
    }
    if (packet.type == 'U' && packet.fds[0] >= 0) {
        *out_link = packet.fds[0];
        return PARENT_UPGRADE;
    }
    os_packet_close(&packet);
    return packet.type == 'X' ? PARENT_GIVE_UP : PARENT_NOTHING;
}
