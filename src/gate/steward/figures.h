/**
 * What a gate has counted, over the link to its successor: metrics, and how often each rule decided.
 */
#ifndef PGSEAL_GATE_STEWARD_FIGURES_H
#define PGSEAL_GATE_STEWARD_FIGURES_H

#include "gate/work/link.h"

struct gate;

/** All of it, as it is now. False: the successor did not take it, or memory ran out. */
bool figures_send(const struct gate *g, const struct link *link);
/** A packet of LINK_COUNTERS: added to what this gate counts. False: it makes no sense, or memory ran out. */
bool figures_take(struct gate *g, const struct os_packet *packet);

#endif
