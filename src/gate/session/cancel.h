/**
 * Cancel requests.
 */
#ifndef PGSEAL_GATE_SESSION_CANCEL_H
#define PGSEAL_GATE_SESSION_CANCEL_H

#include "gate/session/session.h"
#include "gate/work/worker.h"

/** Deliver a CancelRequest; s->in begins with the packet. */
enum step cancel_step(struct session *s, struct err *e);
void cancel_leave(struct session *s);
void cancel_drain(struct session *s, bool now);
/** Another gate's connection, over which nothing is under way. */
bool cancel_is_idle(const struct session *s);
/** The loop has ended: cancel requests still on their way are dropped. All workers must have been joined. */
void cancel_abandon(struct worker *worker);
/** Cancel what the session is doing, as if its client had asked. On its worker. */
void cancel_session(struct session *s);
/**
 * From any thread: another process of the gate asks. `answered` is called on a worker when the request was carried out, or no
 * session here has its key. False: memory ran out.
 */
MUST_CHECK bool cancel_seek(struct gate_shared *shared, const struct cancel_request *request,
                            cancel_answered *answered, void *arg);

#endif
