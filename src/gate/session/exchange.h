/**
 * What the password exchanges that the gate judges itself have in common.
 */
#ifndef PGSEAL_GATE_SESSION_EXCHANGE_H
#define PGSEAL_GATE_SESSION_EXCHANGE_H

#include "gate/session/admission.h"
#include "gate/upstream/derive.h"

/** Read the user's secret from auth_file. */
void exchange_read_userlist(struct session *s);
/** Why no password can succeed; NULL if one may. */
const char *exchange_doom(const struct credential *c);
/** Who hears of a derivation that the pool has done: the session goes on. */
struct derive_owner exchange_derive_owner(struct session *s);
/** The proof does not fit: `e` says so already. */
enum step exchange_wrong(struct session *s, const struct err *e);
/** OK from a check that was made in vain (s->reason) is a wrong password; else on, or off. */
enum step exchange_judged(struct session *s, enum code code, struct err *e);

#endif
