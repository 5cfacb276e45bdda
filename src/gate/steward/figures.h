/**
 * What a gate has counted, over the link to its successor: metrics, and how often each rule decided.
 */
#ifndef PGSEAL_GATE_STEWARD_FIGURES_H
#define PGSEAL_GATE_STEWARD_FIGURES_H

#include "gate/work/link.h"

struct counters;
struct gate;

enum { FIGURES_CELLS_MAX = 16 * 1024 };

/** All of it, as it is now; told: empty, with room for FIGURES_CELLS_MAX; receives it. False: the successor did not take it, or no memory. */
bool figures_send(const struct gate *g, const struct link *link, struct counters *told);
/** What has been counted since, and `now`: what is so only now, such as the number of sessions. */
bool figures_tell_more(const struct gate *g, const struct link *link, struct counters *told, bool now);
/**
 * A packet of LINK_COUNTERS: added to what this gate counts. now: receives what the other one said that is so only now; NULL: it
 * says nothing of it. False: it makes no sense, or memory ran out.
 */
bool figures_take(struct gate *g, const struct os_packet *packet, struct counters *now);

#endif
