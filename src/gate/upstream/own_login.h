/**
 * A login of the gate's own on a server: client/login.h with all that it borrows, and its slow step.
 *
 * Deriving a key from a password takes as long as the server wants; it runs on the pool, on memory that
 * outlives whoever asked for it.
 */
#ifndef PGSEAL_GATE_UPSTREAM_OWN_LOGIN_H
#define PGSEAL_GATE_UPSTREAM_OWN_LOGIN_H

#include "client/login.h"

struct own_login;
struct loop;

/** Password and end point are copied; `env` and creds.keys stay borrowed. NULL when memory ran out. */
struct own_login *own_login_new(struct loop *loop, const struct login_params *params);
/** Not to be fed while own_login_working(). */
struct login *own_login_login(struct own_login *logon);
/** After LOGIN_WORK: `done` is called from the loop, unless own_login_free() comes first. False: no memory. */
MUST_CHECK bool own_login_work(struct own_login *logon, void (*done)(void *arg), void *arg);
bool own_login_working(const struct own_login *logon);
/** NULL is fine. What the pool still holds goes back when it has finished. */
void own_login_free(struct own_login *logon);

#endif
