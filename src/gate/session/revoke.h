/**
 * Sessions whose certificate was revoked while they lived.
 */
#ifndef PGSEAL_GATE_SESSION_REVOKE_H
#define PGSEAL_GATE_SESSION_REVOKE_H

#include "gate/session/session.h"

struct session;

/**
 * End the session (57P01) when the worker's snapshot has a revocation list in force that names its client's
 * certificate, and ssl_crl_ends_sessions is on; or when memory is too short to look. True: the session is on its way
 * out.
 */
bool session_end_revoked(struct session *s);

#endif
