/**
 * Cancel requests for sessions that the process at the other end of the link may have: asked of it, and answered.
 */
#ifndef PGSEAL_GATE_STEWARD_PASSES_H
#define PGSEAL_GATE_STEWARD_PASSES_H

#include "gate/session/cancel.h"
#include "gate/work/link.h"

struct gate_shared;
struct passes;

/** link: borrowed until passes_end(). held: what is asked waits for passes_release(). NULL: memory ran out. */
struct passes *passes_new(struct gate_shared *shared, const struct link *link, bool held);
/** The other process hears cancel requests from now on. NULL is fine. */
void passes_release(struct passes *passes);
/** Ask the other process. `answered` is called once, later, unless this is false. */
MUST_CHECK bool passes_ask(struct passes *passes, const struct cancel_request *request,
                           cancel_answered *answered, void *arg);
/** A packet of LINK_CANCEL or LINK_CANCELED. False: it makes no sense. */
MUST_CHECK bool passes_take(struct passes *passes, const struct os_packet *packet);
/** The link is over: whoever waits is told that nobody has the session. NULL is fine. */
void passes_end(struct passes *passes);

#endif
