/**
 * Questions to the process at the other end of a link, which answers when it can (answers.h): one that takes too long is not
 * waited for, and not asked again until something is heard of it.
 */
#ifndef PGSEAL_GATE_STEWARD_ASKS_H
#define PGSEAL_GATE_STEWARD_ASKS_H

#include "gate/work/link.h"
#include "gate/work/worker.h"

struct asks;
struct loop;

/** link: borrowed until asks_end(). NULL: memory ran out. */
struct asks *asks_new(const struct gate_shared *shared, const struct link *link);
/** listener: copied; `done` is called once, later, unless this is false. */
MUST_CHECK bool asks_put(struct asks *asks, enum elder_question what, struct bytes details,
                         const struct elder_listener *listener);
/** A packet has come: the other process lives. False: it is of LINK_TOLD or LINK_TOLD_END, and makes no sense. */
MUST_CHECK bool asks_hear(struct asks *asks, const struct os_packet *packet);
/** The link is over: whoever waits is told what there was. NULL is fine. */
void asks_end(struct asks *asks);

#endif
