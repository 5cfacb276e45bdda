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

#endif
