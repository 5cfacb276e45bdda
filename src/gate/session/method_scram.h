/**
 * The method scram-sha-256, which md5 becomes for users whose secret is SCRAM.
 */
#ifndef PGSEAL_GATE_SESSION_METHOD_SCRAM_H
#define PGSEAL_GATE_SESSION_METHOD_SCRAM_H

#include "gate/session/session.h"

/** method_scram's `begin`. */
enum step method_scram_begin(struct session *s, struct err *e);

#endif
