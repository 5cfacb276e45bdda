/*
 * Socket calls that fail, or do less than they were asked to, when told to: for
 * tests/integration/test_short_io.py.
 *
 * Linked into a gate of its own, pgseal-faulty, with --wrap: only the gate's own calls come here. The file
 * that FAILCALLS names is a page shared with the test. Calls of the kinds it names are counted, and from the
 * one it names on, as many as it says meet their fate.
 */
#include "page.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum call { CALL_SEND = 1, CALL_RECV = 2, CALL_CONNECT = 4, CALL_ACCEPT = 8 };

struct orders {
    _Atomic long kinds; /* calls that count, a sum of enum call; 0: none */
    _Atomic long seen;  /* so many there have been */
    _Atomic long first; /* the first to be hit, from 1 */
    _Atomic long hits;  /* how many are still to be hit */
    _Atomic long error; /* errno that they end with; 0: they move `bytes` bytes at most */
    _Atomic long bytes;
};

extern ssize_t __real_send(int fd, const void *p, size_t n, int flags);
extern ssize_t __real_recv(int fd, void *p, size_t n, int flags);
extern int __real_connect(int fd, const struct sockaddr *address, socklen_t n);
extern int __real_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags);

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *p, size_t n, int flags);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags);

static struct orders none;
static struct orders *orders = &none;

__attribute__((constructor)) static void begin(void)
{
    void *page = fault_page("FAILCALLS");

    if (page)
        orders = page;
}

/* True when this call is to be hit. */
static bool hit(enum call kind)
{
    if (!(atomic_load(&orders->kinds) & kind))
        return false;
    if (atomic_fetch_add(&orders->seen, 1) + 1 < atomic_load(&orders->first))
        return false;
    if (atomic_fetch_sub(&orders->hits, 1) > 0)
        return true;
    atomic_store(&orders->hits, 0);
    return false;
}

/* True when the call is to end with an error. A connection that is lost is lost for both its ends. */
static bool fails(int fd)
{
    int error = (int)atomic_load(&orders->error);

    if (error == EPIPE || error == ECONNRESET)
        (void)shutdown(fd, SHUT_RDWR);
    errno = error;
    return error != 0;
}

static size_t fewer(size_t n)
{
    size_t bytes = (size_t)atomic_load(&orders->bytes);

    return n < bytes ? n : bytes;
}

ssize_t __wrap_send(int fd, const void *p, size_t n, int flags)
{
    if (!hit(CALL_SEND))
        return __real_send(fd, p, n, flags);
    return fails(fd) ? -1 : __real_send(fd, p, fewer(n), flags);
}

ssize_t __wrap_recv(int fd, void *p, size_t n, int flags)
{
    if (!hit(CALL_RECV))
        return __real_recv(fd, p, n, flags);
    return fails(fd) ? -1 : __real_recv(fd, p, fewer(n), flags);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t n)
{
    if (!hit(CALL_CONNECT))
        return __real_connect(fd, address, n);
    /* Interrupted, a connect goes on by itself. */
    if (atomic_load(&orders->error) == EINTR)
        (void)__real_connect(fd, address, n);
    return fails(fd) ? -1 : __real_connect(fd, address, n);
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *n, int flags)
{
    return hit(CALL_ACCEPT) && fails(fd) ? -1 : __real_accept4(fd, address, n, flags);
}
