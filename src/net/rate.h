/**
 * How often a client prefix may do something: `burst` times at once, and then `per_s` times a second.
 *
 * Of IPv6 the prefix is the site of 48 bits. The table is bounded; the prefix that was seen longest ago is
 * forgotten first. Of one thread.
 */
#ifndef PGSEAL_NET_RATE_H
#define PGSEAL_NET_RATE_H

#include "net/prefix.h"

struct rate;

/** NULL when memory ran out. */
struct rate *rate_new(unsigned burst, unsigned per_s);
/** NULL is fine. */
void rate_free(struct rate *rate);
/** Other figures from now on. */
void rate_set(struct rate *rate, unsigned burst, unsigned per_s);
/** May it, now? Then it has. Without memory it may not. */
bool rate_take(struct rate *rate, const struct prefix *prefix, int64_t now_ms);

struct rate_count {
    uint64_t taken;   /* of the burst, and not yet given back */
    uint64_t refused; /* since the prefix is known */
};

/** For each prefix that is known. */
void rate_each(const struct rate *rate, int64_t now_ms,
               void (*each)(void *arg, const struct prefix *prefix, const struct rate_count *count),
               void *arg);

#endif
