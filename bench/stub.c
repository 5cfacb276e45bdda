/*
 * A server that costs next to nothing: the upstream of every proxy that is measured.
 *
 *     bench_stub SOCKET
 *
 * Trusts whoever comes over the unix socket, as a server behind a proxy may. Answers any query with one row,
 * "COPY OUT megabytes" and "COPY IN" as PostgreSQL would: rows of 100 bytes, written 8 KiB at a time.
 * One thread, readiness only; single-purpose, and no example of how to read hostile bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { IN_MAX = 8192, CHUNK = 8192, ROW = 100, EVENTS = 256, HEAD = 5 };

struct peer {
    int fd;
    bool started;
    bool copying_in;
    bool ending;       /* what ends a COPY out is still to be said */
    uint32_t skip;     /* bytes of a CopyData body that are still to come */
    uint64_t out_left; /* bytes of a COPY out that are still to be sent */
    size_t chunk_sent; /* of the chunk begun */
    size_t have;
    uint8_t in[IN_MAX];
};

static uint8_t chunk[CHUNK]; /* whole CopyData messages, and a shorter one at the end */

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void make_chunk(void)
{
    memset(chunk, 'x', sizeof chunk);
    for (size_t at = 0; at < CHUNK;) {
        size_t row = CHUNK - at < 2 * ROW ? CHUNK - at : ROW;
        chunk[at] = 'd';
        put_u32(chunk + at + 1, row - 1);
        chunk[at + row - 1] = '\n';
        at += row;
    }
}

/* ---- what is said ---- */

static const uint8_t answer[] = "T\0\0\0\x21\0\1?column?\0\0\0\0\0\0\0\0\0\0\x17\0\4\377\377\377\377\0\0"
                                "D\0\0\0\x0b\0\1\0\0\0\1"
                                "1"
                                "C\0\0\0\x0dSELECT 1\0"
                                "Z\0\0\0\5I";
static const uint8_t copy_out_begins[] = "H\0\0\0\7\0\0\0";
static const uint8_t copy_out_ends[] = "c\0\0\0\4C\0\0\0\x0b"
                                       "COPY 1\0Z\0\0\0\5I";
static const uint8_t copy_in_begins[] = "G\0\0\0\7\0\0\0";
static const uint8_t copy_in_ends[] = "C\0\0\0\x0b"
                                      "COPY 1\0Z\0\0\0\5I";

static size_t put_message(uint8_t *out, uint8_t type, const void *body, size_t n)
{
    out[0] = type;
    put_u32(out + 1, n + 4);
    memcpy(out + HEAD, body, n);
    return HEAD + n;
}

static size_t make_welcome(uint8_t *out)
{
    static const struct {
        const char *text;
        size_t n;
    } parameters[] = {
#define P(name, value) { name "\0" value, sizeof name + sizeof value }
        P("server_version", "15.0"),
        P("server_encoding", "UTF8"),
        P("client_encoding", "UTF8"),
        P("standard_conforming_strings", "on"),
        P("DateStyle", "ISO, MDY"),
        P("IntervalStyle", "postgres"),
        P("integer_datetimes", "on"),
        P("TimeZone", "Etc/UTC"),
        P("is_superuser", "off"),
        P("session_authorization", "bench"),
        P("application_name", "bench"),
        P("in_hot_standby", "off"),
        P("default_transaction_read_only", "off"),
#undef P
    };
    size_t n = put_message(out, 'R', "\0\0\0\0", 4);

    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        n += put_message(out + n, 'S', parameters[i].text, parameters[i].n);
    static uint32_t pid;
    uint8_t key[8] = { 0, 0, 0, 0, 1, 2, 3, 4 };

    put_u32(key, ++pid);
    n += put_message(out + n, 'K', key, sizeof key);
    return n + put_message(out + n, 'Z', "I", 1);
}

/* Answers are far smaller than a socket's buffer: they go at once, or the peer has left. */
static bool say(struct peer *peer, const void *data, size_t n)
{
    return send(peer->fd, data, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Go on with a COPY out. False: the peer has left. */
static bool pour(struct peer *peer)
{
    while (peer->out_left > 0) {
        ssize_t n = send(peer->fd, chunk + peer->chunk_sent, CHUNK - peer->chunk_sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        peer->chunk_sent = (peer->chunk_sent + (size_t)n) % CHUNK;
        peer->out_left -= (uint64_t)n;
    }
    if (peer->ending && !say(peer, copy_out_ends, sizeof copy_out_ends - 1))
        return errno == EAGAIN; /* the socket is full: the next wake-up says it */
    peer->ending = false;
    return true;
}

/* ---- what is heard ---- */

static bool query(struct peer *peer, const char *sql)
{
    if (strncmp(sql, "COPY OUT ", 9) == 0) {
        peer->out_left = strtoull(sql + 9, NULL, 10) << 20;
        peer->chunk_sent = 0;
        peer->ending = true;
        return say(peer, copy_out_begins, sizeof copy_out_begins - 1) && pour(peer);
    }
    if (strcmp(sql, "COPY IN") == 0) {
        peer->copying_in = true;
        return say(peer, copy_in_begins, sizeof copy_in_begins - 1);
    }
    return say(peer, answer, sizeof answer - 1);
}

/* One message, or the part of it that is here; *used == 0: more is needed. False: the session is over. */
static bool take(struct peer *peer, const uint8_t *p, size_t n, size_t *used)
{
    uint8_t welcome[1024];

    *used = 0;
    if (peer->skip > 0) {
        *used = n < peer->skip ? n : peer->skip;
        peer->skip -= (uint32_t)*used;
        return true;
    }
    size_t head = peer->started ? HEAD : 4;
    if (n < head)
        return true;
    size_t whole = get_u32(p + head - 4) + head - 4;
    if (peer->started && p[0] == 'd') {
        *used = head;
        peer->skip = (uint32_t)(whole - head);
        return true;
    }
    if (whole > IN_MAX || n < whole)
        return whole <= IN_MAX;
    *used = whole;
    if (!peer->started) {
        peer->started = true;
        return say(peer, welcome, make_welcome(welcome));
    }
    if (p[0] == 'Q')
        return query(peer, (const char *)p + HEAD);
    if (p[0] == 'c' && peer->copying_in) {
        peer->copying_in = false;
        return say(peer, copy_in_ends, sizeof copy_in_ends - 1);
    }
    return p[0] != 'X';
}

static bool hear(struct peer *peer)
{
    ssize_t got = recv(peer->fd, peer->in + peer->have, sizeof peer->in - peer->have, 0);
    size_t at = 0, used;

    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    peer->have += (size_t)got;
    do {
        if (!take(peer, peer->in + at, peer->have - at, &used))
            return false;
        at += used;
    } while (used > 0 && at < peer->have);
    peer->have -= at;
    memmove(peer->in, peer->in + at, peer->have);
    return true;
}

/* ---- the loop ---- */

static void greet(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct peer *peer = fd < 0 ? NULL : malloc(sizeof *peer);

    if (!peer) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    /* The input buffer is not touched before it is needed. */
    memset(peer, 0, offsetof(struct peer, in));
    peer->fd = fd;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = peer };
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        abort();
} /* NOLINT(clang-analyzer-unix.Malloc): epoll has the pointer */

static void serve_peer(struct peer *peer, uint32_t events)
{
    bool alive = true;

    if (events & EPOLLOUT)
        alive = pour(peer);
    if (alive && events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        while ((alive = hear(peer)) && errno != EAGAIN)
            errno = 0;
    errno = 0;
    if (alive)
        return;
    (void)close(peer->fd);
    free(peer);
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
    int epoll = epoll_create1(EPOLL_CLOEXEC), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
        (void)fprintf(stderr, "usage: bench_stub SOCKET\n");
        return 2;
    }
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 1024) != 0 ||
        fcntl(listener, F_SETFL, O_NONBLOCK) != 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) {
        perror("bench_stub");
        return 1;
    }
    make_chunk();
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                serve_peer(events[i].data.ptr, events[i].events);
            else
                greet(epoll, listener);
        }
    }
}
