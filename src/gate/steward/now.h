/**
 * What is counted anew at each look: how many connections there are now, and who is logging in. After an upgrade two processes
 * have some, and the numbers are sums.
 */
#ifndef PGSEAL_GATE_STEWARD_NOW_H
#define PGSEAL_GATE_STEWARD_NOW_H

#include "base/count.h"

#include <stdbool.h>

struct gate;

enum { NOW_METRICS = 5 };

/** Which metrics these are. */
extern const enum metric now_metrics[NOW_METRICS];
bool now_is(enum metric metric);
/** Those of them that the workers do not count. */
void now_count(const struct gate *g, struct counters *sum);
/** On top of it what another process has. */
void now_add(struct counters *sum, const struct counters *other);

#endif
