/*
 * The yardstick: bytes from TCP to a unix socket and back, and nothing else.
 *
 *     bench_relay PORT SOCKET
 *
 * One thread, level-triggered readiness, one 64 KiB buffer: one read and one write per wake-up and direction.
 * What a proxy costs beyond this is TLS, authentication and thought.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, EVENTS = 256 };

struct side {
    int fd;
    uint32_t interest;
    bool dead;
    struct side *other;
    size_t n, at; /* what `fd` has not taken yet */
    uint8_t *held;
};

static struct sockaddr_un upstream = { .sun_family = AF_UNIX };
static int epoll;
static struct side *graveyard[2 * EVENTS];
static size_t buried;

static void watch(struct side *side, uint32_t interest)
{
    struct epoll_event event = { .events = interest, .data.ptr = side };

    if (side->interest == interest)
        return;
    side->interest = interest;
    (void)epoll_ctl(epoll, EPOLL_CTL_MOD, side->fd, &event);
}

static void update(struct side *side)
{
    watch(side, (side->other->n > 0 ? 0u : (uint32_t)EPOLLIN) | (side->n > 0 ? (uint32_t)EPOLLOUT : 0u));
}

/* Both sides; freed after the batch of events, which may still name them. */
static void end(struct side *side)
{
    struct side *both[2] = { side, side->other };

    if (side->dead)
        return;
    for (int i = 0; i < 2; i++) {
        (void)close(both[i]->fd);
        both[i]->dead = true;
        graveyard[buried++] = both[i];
    }
}

static bool flush_held(struct side *side)
{
    ssize_t n = send(side->fd, side->held + side->at, side->n, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN;
    side->at += (size_t)n;
    side->n -= (size_t)n;
    return true;
}

static bool carry(struct side *from)
{
    static uint8_t buffer[BUFFER];
    struct side *to = from->other;

    ssize_t got = recv(from->fd, buffer, sizeof buffer, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    ssize_t sent = send(to->fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
        return false;
    sent = sent < 0 ? 0 : sent;
    if (sent == got)
        return true;
    if (!to->held && !(to->held = malloc(BUFFER)))
        return false;
    to->at = 0;
    to->n = (size_t)(got - sent);
    memcpy(to->held, buffer + sent, to->n);
    return true;
}

static void serve(struct side *side, uint32_t events)
{
    bool alive = true;

    if (side->dead)
        return;
    if (events & EPOLLOUT && side->n > 0)
        alive = flush_held(side);
    if (alive && events & (EPOLLIN | EPOLLHUP | EPOLLERR) && side->other->n == 0)
        alive = carry(side);
    if (!alive) {
        end(side);
        return;
    }
    update(side);
    update(side->other);
}

static void greet(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int server = fd < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct side *sides[2] = { calloc(1, sizeof *sides[0]), calloc(1, sizeof *sides[1]) };
    int one = 1;

    if (server < 0 || !sides[0] || !sides[1] ||
        connect(server, (struct sockaddr *)&upstream, sizeof upstream) != 0)
        abort();
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < 2; i++) {
        *sides[i] = (struct side){ .fd = i ? server : fd, .interest = EPOLLIN, .other = sides[!i] };
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = sides[i] };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, sides[i]->fd, &event) != 0)
            abort();
    }
}

static int listen_on(const char *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

    address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        perror("bench_relay");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN };

    if (argc != 3 || strlen(argv[2]) >= sizeof upstream.sun_path) {
        (void)fprintf(stderr, "usage: bench_relay PORT SOCKET\n");
        return 2;
    }
    memcpy(upstream.sun_path, argv[2], strlen(argv[2]));
    int listener = listen_on(argv[1]);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0)
        return 1;
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve(events[i].data.ptr, events[i].events);
            else
                greet(listener);
        }
        while (buried > 0) {
            struct side *side = graveyard[--buried];
            free(side->held);
            free(side);
        }
    }
}
