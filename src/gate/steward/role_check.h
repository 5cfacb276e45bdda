/**
 * Which host is the primary? upstream_check_url is asked for each host of the upstreams that want one, and the workers
 * hear of what changes.
 */
#ifndef PGSEAL_GATE_STEWARD_ROLE_CHECK_H
#define PGSEAL_GATE_STEWARD_ROLE_CHECK_H

#include "base/err.h"

struct counters;
struct gate;

/** The snapshot in force is another: ask the hosts that it names. */
void role_check_follow(struct gate *g);
/** pgseal_recheck(): ask them all now. `note` says how many, or why none. */
void role_check_now(struct gate *g, struct err *note);
/** What is known of each host. */
void role_check_count(const struct gate *g, struct counters *sum);
/** No more; returns when no question is on the pool. */
void role_check_stop(struct gate *g);

#endif
