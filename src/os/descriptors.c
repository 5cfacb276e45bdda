#include "os/descriptors.h"

#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

void os_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

long os_raise_descriptors(long wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return LONG_MAX;
    rlim_t before = limit.rlim_cur, most = (rlim_t)wanted;
    if (before < most && before < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) /* a service manager may forbid it */
            limit.rlim_cur = before;
    }
    return limit.rlim_cur < (rlim_t)LONG_MAX ? (long)limit.rlim_cur : LONG_MAX;
}
