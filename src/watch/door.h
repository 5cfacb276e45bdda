/**
 * The sockets of the HTTP server: who comes in, with TLS or without, how much he may say, how long he stays.
 *
 * A visitor's bytes go through a socket pair; whoever answers sees only its other end. What a visitor sends
 * beyond DOOR_REQUEST_MAX is thrown away, after DOOR_STAY_MS he is shown out, and while DOOR_VISITORS_MAX are
 * in, others wait in the listener's queue.
 */
#ifndef PGSEAL_WATCH_DOOR_H
#define PGSEAL_WATCH_DOOR_H

#include "base/err.h"
#include "conf/http_place.h"
#include "net/socket.h"

#include <sys/types.h>

struct door;
struct env;
struct http_access;
struct loop;

enum {
    DOOR_VISITORS_MAX = 64,
    DOOR_REQUEST_MAX = 32 * 1024,
    DOOR_STAY_MS = 10 * 1000 /* handshake, request and answer together */
};

struct door_params {
    struct loop *loop;
    const struct env *env;
    struct http_place place;          /* not HTTP_OFF */
    const char *dir;                  /* where a relative path starts */
    mode_t mode;                      /* of a unix socket */
    const struct socket_set *sockets; /* open already: taken, also on failure; NULL: open them */
    /** Serve this descriptor (taken, also on failure). False: not now. */
    bool (*admit)(void *arg, int fd);
    void *arg;
};

/** Listens, but lets nobody in before door_set_access(). */
MUST_CHECK enum code door_open(const struct door_params *params, struct door **out, struct err *e);
/** As http_set_access(). */
MUST_CHECK bool door_set_access(struct door *door, const struct http_access *access);
/** What is asked of those who come in now; NULL: nobody comes in yet. */
const struct http_access *door_access(const struct door *door);
/** Borrowed. */
void door_sockets(const struct door *door, struct socket_set *out);
/** Nobody comes in any more; who is in stays, and who waits is for another process, which has the sockets. */
void door_leave(struct door *door);
/** Nobody comes in any more; who is in stays. The address is free for another program. May be repeated. */
void door_shut(struct door *door);
/** NULL is fine. */
void door_close(struct door *door);

#endif
