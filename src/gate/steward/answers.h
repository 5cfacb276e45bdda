/**
 * What a process that is the gate no longer answers the one that is (asks.h), over the link between the two.
 */
#ifndef PGSEAL_GATE_STEWARD_ANSWERS_H
#define PGSEAL_GATE_STEWARD_ANSWERS_H

#include "gate/work/link.h"

#include <stdbool.h>

struct answers;
struct counters;
struct gate;

/** told: what the other process knows of our counters, borrowed until answers_free(). NULL: memory ran out. */
struct answers *answers_new(struct gate *g, struct counters *told);
/** A packet of LINK_ASK. link: borrowed until answers_hush(). False: it makes no sense. */
bool answers_take(struct answers *answers, const struct link *link, const struct os_packet *packet);
/** The link is over: nothing more is told. NULL is fine. */
void answers_hush(struct answers *answers);
/** When no loop runs any more, and what was posted to them has run. NULL is fine. */
void answers_free(struct answers *answers);

#endif
