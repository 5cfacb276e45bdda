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
/** May it, now? Then it has. Without memory it may not. */
bool rate_take(struct rate *rate, const struct prefix *prefix, int64_t now_ms);

#endif
