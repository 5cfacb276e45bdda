/**
 * Name service lookups that never block a loop.
 *
 * They wait on the pool for servers that may be slow or silent, so each kind may hold a part of its threads
 * only; what comes above that stands in line. Whoever makes reverse lookups slow holds up those who need one,
 * and neither lookups of servers nor the pool's other work.
 */
#ifndef PGSEAL_NET_RESOLVE_H
#define PGSEAL_NET_RESOLVE_H

#include "base/err.h"

#include <netdb.h>
#include <sys/socket.h>

struct loop;
struct resolve;

/**
 * Result of a lookup, on the loop's thread. gai_error 0: `addresses` (forward) or `name` (others) is set;
 * both are borrowed for the time of the call.
 */
typedef void resolve_fn(void *arg, int gai_error, const struct addrinfo *addresses, const char *name);

/** On whose behalf: a server's name stands in no client's line. */
enum resolve_for { RESOLVE_FOR_CLIENT, RESOLVE_FOR_SERVER };
/** What to look up. */
struct resolve_name {
    enum resolve_for whose;
    const char *host;
    const char *port; /* may be empty */
};

/** Addresses of a host name for stream sockets. NULL when memory ran out: `fn` will not be called. */
struct resolve *resolve_forward(struct loop *loop, const struct resolve_name *name, resolve_fn *fn,
                                void *arg);
/** The name of an address, NI_NAMEREQD. */
struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr *address, resolve_fn *fn, void *arg);
/** The name of an OS user; EAI_NONAME: there is none, other numbers: it could not be looked up. */
struct resolve *resolve_user(struct loop *loop, uid_t uid, resolve_fn *fn, void *arg);
/** `fn` will not be called any more. Only before it has been. */
void resolve_cancel(struct resolve *resolve);

#endif
