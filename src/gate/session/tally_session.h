/**
 * What a session is counted as.
 */
#ifndef PGSEAL_GATE_SESSION_TALLY_SESSION_H
#define PGSEAL_GATE_SESSION_TALLY_SESSION_H

#include "gate/session/session.h"
#include "gate/stats/tally.h"

struct session;

/** Add the cause of a failure to its line, and count it: id, likely cause, what to do. */
void session_log_cause(struct session *s, struct log_line *line, enum cause cause);

/** A session failed; not CAUSE_NONE. */
void session_tally_failure(struct session *s, enum cause cause);
/** A session was admitted. */
void session_tally_admitted(struct session *s);
/** It ends without having been. e: what it was told; NULL: nothing. */
void session_tally_ended(struct session *s, const struct err *e);
/** It left, or its handshake failed, before it said who it is; seen: what that shows, or 0. */
void session_tally_stranger(struct session *s, enum client_seen seen);
/** It refused the certificate of a trial: charge its address with it. */
void session_tally_refused_trial(struct session *s);

#endif
