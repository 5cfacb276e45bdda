/*
 * IPVS that takes every order and does nothing, for a kernel without it: what health checkers of keepalived need to be
 * started. For tests/integration/test_keepalived.py. Preloaded.
 *
 * [src: Linux, include/uapi/linux/ip_vs.h: IP_VS_BASE_CTL and the options behind it]
 */
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { FIRST = 64 + 1024 + 64, MANY = 64 };

typedef int getsockopt_fn(int, int, int, void *, socklen_t *);
typedef int setsockopt_fn(int, int, int, const void *, socklen_t);

static bool is_ipvs(int level, int name)
{
    return level == IPPROTO_IP && name >= FIRST && name < FIRST + MANY;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *n)
{
    getsockopt_fn *real;

    if (is_ipvs(level, name)) {
        memset(value, 0, *n);
        return 0;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
    return real(fd, level, name, value, n);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t n)
{
    setsockopt_fn *real;

    if (is_ipvs(level, name))
        return 0;
    *(void **)&real = dlsym(RTLD_NEXT, "setsockopt");
    return real(fd, level, name, value, n);
}
