/*
 * Clocks that jump when told to, in front of libc's: for tests/integration/test_clock.py and test_faults.py.
 *
 * The file that FAULTCLOCK names is a page shared with the test; its first number is how many seconds the
 * date is off, the second one how many the monotonic clock is. Preloaded, so that OpenSSL and all others see
 * the same.
 */
#include "page.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t id, struct timespec *out);

static _Atomic long none[2];
static _Atomic long *offsets_s = none;
static clock_fn *real;

__attribute__((constructor)) static void begin(void)
{
    void *page = fault_page("FAULTCLOCK");

    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (page)
        offsets_s = page;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, out);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        out->tv_sec += atomic_load(&offsets_s[0]);
    if (result == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE))
        out->tv_sec += atomic_load(&offsets_s[1]);
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    *out = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
    return 0;
}
