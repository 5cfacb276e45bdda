/**
 * Error text, the last bytes, the log line, and the end of the session's memory.
 */
#ifndef PGSEAL_GATE_SESSION_FAREWELL_H
#define PGSEAL_GATE_SESSION_FAREWELL_H

#include "gate/session/session.h"

/** Say what there is to say, then close; frees the session when the client has gone or the time is up. */
void farewell_enter(struct session *s, const struct err *e);
void farewell_client_readable(struct session *s);
void farewell_client_writable(struct session *s);
/** The client's time is up, or it has gone: free. */
void farewell_deadline(struct session *s);
/**
 * Another process has the session, or keeps it: this one's descriptors and keys go, and it is counted no more. No byte, no
 * shutdown(2), no line in the log. Not from below the session's own callbacks.
 */
void farewell_without_a_word(struct session *s);
/** The memory and descriptors of a session that is in no list yet. */
void farewell_release(struct session *s);

#endif
