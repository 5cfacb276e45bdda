/**
 * How the gate carries out an authentication method: one file each, as method_scram.c.
 *
 * Which method has which unit is in tables/hba_methods.def.
 */
#ifndef PGSEAL_GATE_SESSION_METHOD_H
#define PGSEAL_GATE_SESSION_METHOD_H

#include "gate/session/session.h"

struct method {
    /**
     * Challenge the client, or judge it at once. Where the method wants the user's secret, that is known as far
     * as it ever will be. STEP_JOB: something was begun, and session_resume() will call this again.
     */
    enum step (*begin)(struct session *s, struct err *e);
    /** Go on in stage ADMIT_EXCHANGE: the client answered, or a job is done. NULL: there is no exchange. */
    enum step (*step)(struct session *s, struct err *e);
};

/** NULL: the gate cannot carry it out. */
const struct method *method_of(enum hba_method method);

/** Nothing is asked for beyond the certificate: trust, cert. */
extern const struct method method_proved;
extern const struct method method_peer;
extern const struct method method_password;
extern const struct method method_md5;
extern const struct method method_scram;

#endif
