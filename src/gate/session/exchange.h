/**
 * Password exchanges that the gate judges itself: cleartext, MD5, SCRAM.
 */
#ifndef PGSEAL_GATE_SESSION_EXCHANGE_H
#define PGSEAL_GATE_SESSION_EXCHANGE_H

#include "gate/session/admission.h"

/** Read the user's secret from auth_file. */
void exchange_read_userlist(struct session *s);
/** The secret is known as far as it ever will be: challenge the client. */
enum step exchange_begin(struct session *s, struct err *e);
/** Go on in one of the stages ADMIT_SCRAM, ADMIT_MD5, ADMIT_PASSWORD. */
enum step exchange_step(struct session *s, struct err *e);

#endif
