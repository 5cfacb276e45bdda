/**
 * Limits per user, per database and per address: max_user_connections, max_db_connections and
 * client_connection_rate_limit. Where they are off, nothing is counted.
 */
#ifndef PGSEAL_GATE_SESSION_LIMIT_H
#define PGSEAL_GATE_SESSION_LIMIT_H

#include "gate/session/session.h"

/** It is about to be admitted. E_TOO_MANY with PostgreSQL's words; E_NOMEM. */
MUST_CHECK enum code limit_enter(struct session *s, struct err *e);
/** It has been admitted before there were limits, or by another process: counted, however many there are. */
void limit_join(struct session *s);
/** It ends. */
void limit_leave(struct session *s);
/** Who connects is known. False: its address begins connections too fast. */
bool limit_begin(const struct session *s);

#endif
