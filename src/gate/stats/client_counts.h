/**
 * Who connects how, on one worker: counted here, handed over now and then.
 */
#ifndef PGSEAL_GATE_STATS_CLIENT_COUNTS_H
#define PGSEAL_GATE_STATS_CLIENT_COUNTS_H

#include "gate/work/worker.h"

struct client_row;

/** Once the worker has its loop. False: memory ran out. */
MUST_CHECK bool client_counts_init(struct worker *worker);
/** Also when client_counts_init() failed, or was not called. */
void client_counts_fini(struct worker *worker);
/** Count what was seen of a client. Without memory it is not counted. */
void client_counts_note(struct worker *worker, const struct client_row *seen);
/** Hand over what was counted, before everything that is posted to the SQL thread later. */
void client_counts_hand_over(struct worker *worker);

#endif
