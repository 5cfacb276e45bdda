/*
 * The door: accept, end TLS, pump bytes between a visitor and a socket pair, and show out who stays too long.
 *
 * A visitor says at most DOOR_REQUEST_MAX bytes, which always fit into the socket pair when somebody reads at
 * its other end; one for whom they do not is not worth keeping. Answers flow as fast as the visitor takes
 * them: while some wait for his socket, no more are read from the pair.
 */
#include "watch/door.h"

#include "base/check.h"
#include "base/log.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/stream.h"
#include "os/files.h"
#include "watch/http.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LISTENERS_MAX = SOCKET_SET_MAX, /* addresses of one name */
    ACCEPT_BATCH = 4,               /* per wake-up: a handshake costs the steward a millisecond */
    PAUSE_MS = 500,                 /* after descriptors ran out */
    PUMP_SIZE = 16 * 1024
};

/* What was asked of visitors when they came in; it stays until the last of them has left. */
struct entry_rule {
    struct http_access access;
    unsigned refs;
};

struct visitor {
    struct door *door;
    struct entry_rule *rule;
    struct stream client;
    int inner; /* our end of the pair */
    struct poll *inner_poll;
    struct timer *deadline;
    size_t said;
    bool handshaking;
    bool answered; /* the other end has said all it had to say */
    LIST_ENTRY(visitor) entry;
};

struct door_listener {
    int fd;
    struct poll *poll;
};

struct door {
    struct door_params params;
    struct stream_room room;
    struct door_listener listeners[LISTENERS_MAX];
    size_t n_listeners;
    struct unix_listener local; /* the unix socket; without a path: none */
    struct timer *pause;
    struct entry_rule *rule;
    LIST_HEAD(, visitor) visitors;
    size_t n_visitors;
    bool paused;
};

/* ---- what is asked of visitors ---- */

static void rule_unref(struct entry_rule *rule)
{
    if (!rule || --rule->refs > 0)
        return;
    if (rule->access.release)
        rule->access.release(rule->access.owner);
    free(rule);
}

static void update_listening(struct door *door);

bool door_set_access(struct door *door, const struct http_access *access)
{
    struct entry_rule *rule = malloc(sizeof *rule);

    if (!rule) {
        if (access->release)
            access->release(access->owner);
        return false;
    }
    *rule = (struct entry_rule){ .access = *access, .refs = 1 };
    rule_unref(door->rule);
    door->rule = rule;
    update_listening(door);
    return true;
}

const struct http_access *door_access(const struct door *door)
{
    return door->rule ? &door->rule->access : NULL;
}

/* ---- visitors ---- */

static void leave(struct visitor *v)
{
    struct door *door = v->door;

    LIST_REMOVE(v, entry);
    door->n_visitors--;
    stream_close(&v->client);
    poll_close(v->inner_poll);
    if (v->inner >= 0)
        (void)close(v->inner);
    timer_close(v->deadline);
    rule_unref(v->rule);
    free(v);
    update_listening(door);
}

static void on_deadline(void *arg)
{
    leave(arg);
}

/* False: he has left. */
static bool pass_on(struct visitor *v, struct bytes data)
{
    if (data.n > DOOR_REQUEST_MAX - v->said)
        data.n = DOOR_REQUEST_MAX - v->said;
    v->said += data.n;
    if (data.n == 0 || v->answered)
        return true;
    ssize_t n = send(v->inner, data.p, data.n, MSG_NOSIGNAL);
    if (n >= 0 && (size_t)n == data.n)
        return true;
    if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
        return true; /* what was answered before is still to be read */
    leave(v);
    return false;
}

static enum stream_status hear(struct visitor *v, struct bytes *out, struct err *e)
{
    if (!v->handshaking)
        return stream_read(&v->client, out, e);
    enum stream_status status = stream_handshake(&v->client, bytes_of(NULL, 0), out, e);
    if (status == STREAM_DATA)
        v->handshaking = false;
    return status;
}

static void on_readable(struct visitor *v)
{
    struct bytes data;
    struct err e;

    do {
        switch (hear(v, &data, &e)) {
        case STREAM_DATA:
            if (!pass_on(v, data))
                return;
            break;
        case STREAM_AGAIN:
            return;
        case STREAM_EOF:
            if (v->handshaking || v->answered)
                leave(v);
            else
                (void)shutdown(v->inner, SHUT_WR); /* he may still wait for the answer */
            return;
        case STREAM_FAIL:
            leave(v);
            return;
        }
    } while (stream_over(&v->client));
}

static void on_client(void *arg, unsigned events)
{
    struct visitor *v = arg;
    struct err e;

    if (events & POLL_WRITE) {
        if (stream_flush(&v->client, &e) != OK) {
            leave(v);
            return;
        }
        if (!stream_blocked(&v->client) && !v->answered)
            poll_set(v->inner_poll, POLL_READ);
    }
    if (events & POLL_READ)
        on_readable(v);
}

static void on_inner(void *arg, unsigned events)
{
    struct visitor *v = arg;
    uint8_t room[PUMP_SIZE];
    struct err e;

    (void)events;
    ssize_t n = recv(v->inner, room, sizeof room, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0) {
        if (stream_write(&v->client, bytes_of(room, (size_t)n), &e) != OK)
            leave(v);
        else if (stream_blocked(&v->client))
            poll_set(v->inner_poll, 0);
        return;
    }
    if (n < 0 || stream_over(&v->client)) {
        leave(v);
        return;
    }
    v->answered = true;
    poll_set(v->inner_poll, 0);
    stream_finish(&v->client); /* and he closes, or is shown out */
}

/* Hand the other end of a pair to those who answer. */
static bool make_inner(struct visitor *v)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    v->inner = pair[0];
    if (!v->door->params.admit(v->door->params.arg, pair[1]))
        return false;
    v->inner_poll = poll_new(v->door->params.loop, v->inner, on_inner, v);
    return v->inner_poll != NULL;
}

static void let_in(struct door *door, int fd)
{
    struct visitor *v = calloc(1, sizeof *v);

    if (!v) {
        (void)close(fd);
        return;
    }
    *v = (struct visitor){ .door = door, .rule = door->rule, .inner = -1 };
    v->rule->refs++;
    LIST_INSERT_HEAD(&door->visitors, v, entry);
    door->n_visitors++;
    enum code code = stream_open(&v->client, &door->room, fd, on_client, v);
    v->deadline = code == OK ? timer_new(door->params.loop, on_deadline, v) : NULL;
    if (v->deadline && v->rule->access.tls) {
        v->handshaking = true;
        code = stream_tls_accept(&v->client, v->rule->access.tls);
    }
    if (code != OK || !v->deadline || !make_inner(v)) {
        leave(v);
        return;
    }
    timer_set(v->deadline, DOOR_STAY_MS);
    stream_set_reading(&v->client, true);
    poll_set(v->inner_poll, POLL_READ);
}

/* ---- listening ---- */

static void update_listening(struct door *door)
{
    bool open = door->rule && !door->paused && door->n_visitors < DOOR_VISITORS_MAX;

    for (size_t i = 0; i < door->n_listeners; i++)
        poll_set(door->listeners[i].poll, open ? POLL_READ : 0);
}

static void on_pause(void *arg)
{
    struct door *door = arg;

    door->paused = false;
    update_listening(door);
}

static void pause_listening(struct door *door)
{
    door->paused = true;
    timer_set(door->pause, PAUSE_MS);
    update_listening(door);
}

static void accept_from(struct door *door, int listener)
{
    struct address peer;

    for (int i = 0; i < ACCEPT_BATCH && door->n_visitors < DOOR_VISITORS_MAX; i++) {
        int fd = socket_accept(listener, &peer);
        if (fd >= 0) {
            let_in(door, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_listening(door);
        return;
    }
}

static void on_acceptable(void *arg, unsigned events)
{
    struct door *door = arg;

    (void)events;
    for (size_t i = 0; i < door->n_listeners; i++)
        accept_from(door, door->listeners[i].fd);
}

static enum code add_listener(struct door *door, int fd, struct err *e)
{
    struct door_listener *listener = &door->listeners[door->n_listeners];

    listener->poll = poll_new(door->params.loop, fd, on_acceptable, door);
    if (!listener->poll) {
        (void)close(fd);
        return err_set(e, E_NOMEM, "out of memory");
    }
    listener->fd = fd;
    door->n_listeners++;
    return OK;
}

static enum code listen_unix(struct door *door, struct err *e)
{
    char written[OS_PATH_MAX], path[OS_PATH_MAX];

    if (!str_to_c(door->params.place.path, written, sizeof written))
        return err_set(e, E_LIMIT, "http_listen is too long");
    TRY(os_path(door->params.dir, written, path, e));
    TRY(socket_listen_unix(path, door->params.mode, &door->local, e));
    return add_listener(door, door->local.fd, e);
}

static enum code listen_address(struct door *door, const struct addrinfo *at, struct err *e)
{
    struct address address;
    int probe, fd;

    if (!address_of_info(at, &address))
        return err_set(e, E_LIMIT, "address is too long");
    TRY(socket_probe_bind(&address, &probe, e));
    (void)close(probe);
    TRY(socket_listen_tcp(&address, &fd, e));
    return add_listener(door, fd, e);
}

/* A name may have several addresses; one that can be used is enough, as for listen_addresses. */
static enum code listen_tcp(struct door *door, struct err *e)
{
    const struct http_place *place = &door->params.place;
    struct addrinfo *found;
    enum code code = OK;

    TRY(address_find_listen(place->host, place->port, &found, e));
    for (const struct addrinfo *at = found; at && door->n_listeners < LISTENERS_MAX; at = at->ai_next) {
        enum code one = listen_address(door, at, e);
        if (one != OK)
            code = one;
    }
    freeaddrinfo(found);
    return door->n_listeners > 0 ? OK : code;
}

/* All of them are taken, one way or the other. */
static enum code take_sockets(struct door *door, const struct socket_set *sockets, struct err *e)
{
    enum code code = OK;

    door->local = sockets->local;
    for (size_t i = 0; i < sockets->n; i++) {
        if (code == OK)
            code = add_listener(door, sockets->fds[i], e);
        else
            (void)close(sockets->fds[i]);
    }
    if (code != OK)
        door->local.path[0] = '\0'; /* the other process has it still */
    return code;
}

static enum code start_listening(struct door *door, struct err *e)
{
    const struct socket_set *sockets = door->params.sockets;

    door->params.sockets = NULL; /* borrowed for the start only */
    if (sockets)
        return take_sockets(door, sockets, e);
    return door->params.place.kind == HTTP_UNIX ? listen_unix(door, e) : listen_tcp(door, e);
}

enum code door_open(const struct door_params *params, struct door **out, struct err *e)
{
    struct door *door = calloc(1, sizeof *door);

    if (!door)
        return err_set(e, E_NOMEM, "out of memory");
    door->params = *params;
    LIST_INIT(&door->visitors);
    door->pause = timer_new(params->loop, on_pause, door);
    enum code code = OK;
    if (!door->pause || !stream_room_init(&door->room, params->loop))
        code = err_set(e, E_NOMEM, "out of memory");
    if (code == OK)
        code = start_listening(door, e);
    if (code != OK) {
        door_close(door);
        return code;
    }
    *out = door;
    return OK;
}

void door_sockets(const struct door *door, struct socket_set *out)
{
    *out = (struct socket_set){ .n = door->n_listeners, .local = door->local };
    for (size_t i = 0; i < door->n_listeners; i++)
        out->fds[i] = door->listeners[i].fd;
}

void door_leave(struct door *door)
{
    door->local.path[0] = '\0';
    for (size_t i = 0; i < door->n_listeners; i++) {
        poll_close(door->listeners[i].poll);
        (void)close(door->listeners[i].fd);
    }
    door->n_listeners = 0;
}

void door_shut(struct door *door)
{
    socket_unlink_unix(&door->local);
    if (door->rule)
        for (size_t i = 0; i < door->n_listeners; i++)
            accept_from(door, door->listeners[i].fd); /* who is there already */
    door_leave(door);
}

void door_close(struct door *door)
{
    struct visitor *v, *next;

    if (!door)
        return;
    door_shut(door);
    for (v = LIST_FIRST(&door->visitors); v; v = next) {
        next = LIST_NEXT(v, entry);
        leave(v);
    }
    rule_unref(door->rule);
    timer_close(door->pause);
    stream_room_fini(&door->room);
    free(door);
}
