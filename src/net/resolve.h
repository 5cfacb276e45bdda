/**
 * Name service lookups that never block a loop.
 *
 * They wait on the pool for servers that may be slow or silent, so each kind may hold a part of its threads
 * only; what comes above that stands in line. Whoever makes reverse lookups slow holds up those who need one,
 * and neither lookups of servers nor the pool's other work.
 *
 * On behalf of clients: who asks what is being asked already shares the answer; one client prefix (of IPv6 48
 * bits) has at most a quarter of these lookups at once; nobody waits longer than RESOLVE_CLIENT_MS, and then
 * gets EAI_AGAIN; and that a name server failed is remembered for RESOLVE_FAILED_MS.
 */
#ifndef PGSEAL_NET_RESOLVE_H
#define PGSEAL_NET_RESOLVE_H

#include "base/err.h"

#include <netdb.h>
#include <sys/socket.h>

struct loop;
struct resolve;

enum { RESOLVE_CLIENT_MS = 3000, RESOLVE_FAILED_MS = 10000 };

/**
 * Result of a lookup, on the loop's thread. gai_error 0: `addresses` (forward) or `name` (others) is set;
 * both are borrowed for the time of the call.
 */
typedef void resolve_fn(void *arg, int gai_error, const struct addrinfo *addresses, const char *name);

/** What to look up, and on whose behalf: a server's name stands in no client's line. */
struct resolve_name {
    const struct sockaddr_storage *client; /* NULL: for a server */
    const char *host;
    const char *port; /* may be empty */
};

/** Addresses of a host name for stream sockets. NULL when memory ran out: `fn` will not be called. */
struct resolve *resolve_forward(struct loop *loop, const struct resolve_name *name, resolve_fn *fn,
                                void *arg);
/** The name of a client's address, NI_NAMEREQD. */
struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr_storage *client, resolve_fn *fn,
                                void *arg);
/** The name of an OS user; EAI_NONAME: there is none, other numbers: it could not be looked up. */
struct resolve *resolve_user(struct loop *loop, uid_t uid, resolve_fn *fn, void *arg);
/** `fn` will not be called any more. Only before it has been. */
void resolve_cancel(struct resolve *resolve);

#endif
