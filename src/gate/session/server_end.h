/**
 * How the server ends a relayed session: with FATAL, or without a word. For log, client and counts.
 */
#ifndef PGSEAL_GATE_SESSION_SERVER_END_H
#define PGSEAL_GATE_SESSION_SERVER_END_H

#include "base/slice.h"

#include <stdbool.h>

struct session;

/** The client may be sent a message of ours: it is between two of the server's. */
bool server_end_may_speak(const struct session *s);
/** What the server has just said ends with an ErrorResponse. `whole`: it begins with a message. One line, if it is FATAL. */
void server_end_note(struct session *s, struct bytes said, bool whole);
/**
 * The server's connection is over: end the session. Where neither side had announced it, the client hears 08006, between
 * two messages, and the log has a line.
 */
void server_end_session(struct session *s);

#endif
