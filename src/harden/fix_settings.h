/**
 * Findings that a setting clears.
 */
#ifndef PGSEAL_HARDEN_FIX_SETTINGS_H
#define PGSEAL_HARDEN_FIX_SETTINGS_H

#include "harden/planning.h"

/** True when the finding is one of those; `out` receives the result. */
bool fix_settings(struct planning *p, const struct finding *finding, struct fix *out);

/** The pair with the names that were given, in place of one of harden's own that lacks them. */
void fix_names(struct planning *p);

#endif
