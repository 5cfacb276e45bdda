/**
 * The rules and maps of a live server, from its views.
 */
#ifndef PGSEAL_AUDIT_LIVE_RULES_H
#define PGSEAL_AUDIT_LIVE_RULES_H

#include "base/err.h"

struct live_audit;

/** Fill the subject's policy, or what is broken. E_CLOSED, E_LIMIT, E_NOMEM: see audit->e. */
MUST_CHECK enum code live_rules(struct live_audit *audit);

#endif
