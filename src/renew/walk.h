/**
 * One pair's way from "due" to "done", step by step.
 */
#ifndef PGSEAL_RENEW_WALK_H
#define PGSEAL_RENEW_WALK_H

#include "renew/rotate.h"

/** Renew one pair, or finish what a killed run began. The report says what came of it. */
void renew_walk(const struct renew_params *params, const struct renew_rule *rule, struct arena *arena,
                struct renew_report *out);

#endif
