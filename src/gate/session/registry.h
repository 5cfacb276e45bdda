/**
 * Cancel keys of one worker's sessions.
 */
#ifndef PGSEAL_GATE_SESSION_REGISTRY_H
#define PGSEAL_GATE_SESSION_REGISTRY_H

#include "gate/work/worker.h"

struct session;
struct registry;

/** NULL: memory ran out. */
struct registry *registry_new(void);
void registry_free(struct registry *registry);

/**
 * Draw a key that fits this worker and is unique here, and remember the session under (s->pid, key).
 * The first four bytes modulo the number of workers give the worker, so a request finds its way without a
 * shared table; over all workers keys are as random as before. n: 4 or 32.
 */
MUST_CHECK enum code registry_add(struct worker *worker, struct session *session, uint8_t n);
/** Remember a session under the (pid, key) that its client has already. False: it is another worker's, or not the only
 * one. */
MUST_CHECK bool registry_put(struct worker *worker, struct session *session, struct bytes key);
/** Forget it, under the pid it was added with. Harmless on a session that is not there. */
void registry_remove(struct worker *worker, struct session *session);
/** Constant time in the key; NULL when nothing fits. `pid_known` tells the two log lines apart. */
struct session *registry_find(struct worker *worker, uint32_t pid, struct bytes key, bool *out_pid_known);
/** The first session of that pid, whatever its key, or the next one `after` such a session; NULL: none. */
struct session *registry_next(struct worker *worker, uint32_t pid, const struct session *after);
/** Which worker a request belongs to. */
unsigned registry_worker(struct bytes key, unsigned n_workers);

#endif
