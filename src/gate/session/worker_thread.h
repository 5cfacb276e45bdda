/**
 * A worker's life: its thread, its listeners, orders from the steward, the end.
 */
#ifndef PGSEAL_GATE_SESSION_WORKER_THREAD_H
#define PGSEAL_GATE_SESSION_WORKER_THREAD_H

#include "gate/work/worker.h"

struct worker_order;

/** Not running yet. NULL when memory or descriptors ran out. */
struct worker *worker_new(struct gate_shared *shared, unsigned index);
/** All workers have been joined: drop what still travels between them. Before the first worker_free(). */
void worker_abandon(struct worker *worker);
/** After worker_join(), or before worker_start(). */
void worker_free(struct worker *worker);
/** Start the thread. `snapshot`: a reference, taken. */
MUST_CHECK enum code worker_start(struct worker *worker, struct snapshot *snapshot, struct err *e);
void worker_join(struct worker *worker);

/**
 * An order to use this snapshot for new connections; when it has been followed, `done` is called on the
 * worker. Made first and sent later, so that either all workers hear of a snapshot or none. NULL when memory
 * ran out.
 */
struct worker_order *worker_order_new(struct worker *worker, struct snapshot *snapshot,
                                      void (*done)(void *arg), void *arg);
/** From any thread; taken. */
void worker_order_send(struct worker_order *order);
/** One that was not sent. NULL is fine. */
void worker_order_free(struct worker_order *order);
/** From any thread: no load is under way any more; who was held comes in. */
void worker_loaded(struct worker *worker);
/**
 * From any thread: another process has the listeners. The sessions that are here live on, and the loop ends when no worker has
 * any.
 */
MUST_CHECK bool worker_leave(struct worker *worker);
/**
 * From any thread: listen no more, and end the sessions at their next ReadyForQuery(idle), or at once. Who
 * is in the listeners' queues still comes in, and hears 57P03. The loop ends when no worker has sessions.
 */
MUST_CHECK bool worker_drain(struct worker *worker, bool now);

#endif
