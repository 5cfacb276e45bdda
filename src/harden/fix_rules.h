/**
 * Findings that another rule clears.
 */
#ifndef PGSEAL_HARDEN_FIX_RULES_H
#define PGSEAL_HARDEN_FIX_RULES_H

#include "harden/planning.h"

/** True when the finding is one of those; `out` receives the result. */
bool fix_rules(struct planning *p, const struct finding *finding, struct fix *out);

#endif
