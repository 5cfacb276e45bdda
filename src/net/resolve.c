/* Lookups on the pool: getaddrinfo and getnameinfo, with their own error numbers kept. */
#include "net/resolve.h"

#include "net/loop.h"

#include <stdlib.h>
#include <string.h>

struct resolve {
    resolve_fn *fn; /* NULL: canceled */
    void *arg;
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    struct sockaddr_storage address;
    bool reverse;
    int gai_error;
    struct addrinfo *found;
};

static void work(void *arg)
{
    struct resolve *r = arg;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    socklen_t length = r->address.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                       : sizeof(struct sockaddr_in6);

    if (r->reverse)
        r->gai_error = getnameinfo((struct sockaddr *)&r->address, length, r->host, sizeof r->host, NULL, 0,
                                   NI_NAMEREQD);
    else
        r->gai_error = getaddrinfo(r->host, r->port[0] ? r->port : NULL, &hints, &r->found);
}

static void done(void *arg)
{
    struct resolve *r = arg;

    if (r->fn)
        r->fn(r->arg, r->gai_error, r->found, r->reverse && r->gai_error == 0 ? r->host : NULL);
    if (r->found)
        freeaddrinfo(r->found);
    free(r);
}

static struct resolve *start(struct loop *loop, struct resolve *r)
{
    if (!loop_job(loop, work, done, r)) {
        free(r);
        return NULL;
    }
    return r;
}

struct resolve *resolve_forward(struct loop *loop, const char *host, const char *port, resolve_fn *fn,
                                void *arg)
{
    struct resolve *r = calloc(1, sizeof *r);

    if (!r || !str_to_c(str_c(host), r->host, sizeof r->host) ||
        !str_to_c(str_c(port), r->port, sizeof r->port)) {
        free(r);
        return NULL;
    }
    r->fn = fn;
    r->arg = arg;
    return start(loop, r);
}

struct resolve *resolve_reverse(struct loop *loop, const struct sockaddr *address, resolve_fn *fn, void *arg)
{
    struct resolve *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    memcpy(&r->address, address,
           address->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    r->reverse = true;
    r->fn = fn;
    r->arg = arg;
    return start(loop, r);
}

void resolve_cancel(struct resolve *resolve)
{
    if (resolve)
        resolve->fn = NULL;
}
