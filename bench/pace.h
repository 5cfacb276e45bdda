/**
 * Turns by the clock, for clients that arrive so many times a second.
 */
#ifndef PGSEAL_BENCH_PACE_H
#define PGSEAL_BENCH_PACE_H

#include <time.h>

/** Seconds of a clock that never steps back. */
static inline double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/** Returns at once when the time has come already. */
static inline void sleep_until(double when)
{
    double left = when - now();

    if (left > 0) {
        struct timespec t = { .tv_sec = (time_t)left };
        t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
        (void)nanosleep(&t, NULL);
    }
}

#endif
