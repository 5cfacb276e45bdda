/**
 * A login of the gate's own on a server: client/login.h with all that it borrows, and its slow step.
 *
 * Deriving a key from a password takes as long as the server wants; it runs on the pool, on memory that
 * outlives whoever asked for it.
 */
#ifndef PGSEAL_GATE_UPSTREAM_LOGON_H
#define PGSEAL_GATE_UPSTREAM_LOGON_H

#include "client/login.h"

struct logon;
struct loop;

/** Password and end point are copied; `env` and creds.keys stay borrowed. NULL when memory ran out. */
struct logon *logon_new(struct loop *loop, const struct login_params *params);
/** Not to be fed while logon_working(). */
struct login *logon_login(struct logon *logon);
/** After LOGIN_WORK: `done` is called from the loop, unless logon_free() comes first. False: no memory. */
MUST_CHECK bool logon_work(struct logon *logon, void (*done)(void *arg), void *arg);
bool logon_working(const struct logon *logon);
/** NULL is fine. What the pool still holds goes back when it has finished. */
void logon_free(struct logon *logon);

#endif
