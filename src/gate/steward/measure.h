/**
 * The metrics of a scrape: the workers' counters summed up, and what only files and the snapshot show.
 */
#ifndef PGSEAL_GATE_STEWARD_MEASURE_H
#define PGSEAL_GATE_STEWARD_MEASURE_H

#include "gate/steward/steward.h"

/** When the gate is over: until no measurement holds a snapshot any more. */
void measure_stop(struct gate *g);
/** See gate_measure(). */
MUST_CHECK bool measure_ask(struct gate *g, void (*done)(void *arg, const struct counters *counters),
                            void *arg);

#endif
