/**
 * What canaries have shown of a gate's clients, from its pgseal.clients.
 */
#ifndef PGSEAL_AUDIT_COLLECT_CLIENTS_H
#define PGSEAL_AUDIT_COLLECT_CLIENTS_H

#include "audit/subject.h"

struct arena;

/** Sets subject->verifying where the gate of subject->settings has tried clients out. What cannot be read was not
 * seen. E_NOMEM. */
MUST_CHECK enum code collect_clients(struct audit_subject *subject, struct arena *arena);

#endif
