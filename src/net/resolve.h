/**
 * Name service lookups that never block a loop.
 */
#ifndef PGSEAL_NET_RESOLVE_H
#define PGSEAL_NET_RESOLVE_H

#include "base/err.h"

#include <netdb.h>
#include <sys/socket.h>

struct loop;
struct resolve;

/**
 * Result of a lookup, on the loop's thread. gai_error 0: `addresses` (forward) or `name` (reverse) is set;
 * both are borrowed for the time of the call.
 */
typedef void resolve_fn(void *arg, int gai_error, const struct addrinfo *addresses, const char *name);

/** Addresses of a host name for stream sockets. NULL when memory ran out: `fn` will not be called. */
struct resolve *resolve_forward(struct loop *loop, const char *host, const char *port, resolve_fn *fn,
                                void *arg);
/** The name of an address, NI_NAMEREQD. */
struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr *address, resolve_fn *fn, void *arg);
/** `fn` will not be called any more. Only before it has been. */
void resolve_cancel(struct resolve *resolve);

#endif
