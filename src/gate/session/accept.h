/**
 * Who comes in: listeners, and connections that wait for a load to be decided.
 */
#ifndef PGSEAL_GATE_SESSION_ACCEPT_H
#define PGSEAL_GATE_SESSION_ACCEPT_H

#include "gate/session/worker_thread.h"

struct worker;

/** Begin to accept, or go on. */
void accept_again(void *worker);
/** The load may have been decided: whoever was held comes in. */
void accept_held(struct worker *worker);
/** Listen no more: another process has the listeners, and who is in their queues is for it. */
void accept_leave(struct worker *worker);
/** Take whoever is in the queues, and listen no more. */
void accept_stop(struct worker *worker);
/** A session has given its descriptors back. */
void accept_freed(struct worker *worker);
void accept_free(struct worker *worker);
/** Descriptors ran out for a session that is served: somebody who has not logged in yields. True: there is one
 * now. */
bool accept_give_descriptor(struct worker *worker);

/** Listen on `fd` too (taken). Before worker_start(). tcp false: a descriptor that all workers poll, not
 * taken. */
MUST_CHECK enum code worker_add_listener(struct worker *worker, int fd, bool tcp);

#endif
