/* The real clock and entropy. */
#include "base/env.h"

#include <limits.h>
#include <openssl/rand.h>
#include <time.h>

static int64_t clock_us(clockid_t id)
{
    struct timespec t;

    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_now_unix_us(void *ctx)
{
    (void)ctx;
    return clock_us(CLOCK_REALTIME);
}

static int64_t system_mono_us(void *ctx)
{
    (void)ctx;
    return clock_us(CLOCK_MONOTONIC);
}

static bool system_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return n <= INT_MAX && RAND_bytes(out, (int)n) == 1;
}

struct env env_system(void)
{
    return (
        struct env){ .now_unix_us = system_now_unix_us, .mono_us = system_mono_us, .random = system_random };
}
