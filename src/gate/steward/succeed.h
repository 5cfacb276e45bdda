/**
 * An upgrade, seen from the new gate: it takes over what another one has, and serves when that says so.
 */
#ifndef PGSEAL_GATE_STEWARD_SUCCEED_H
#define PGSEAL_GATE_STEWARD_SUCCEED_H

#include "gate/steward/steward.h"

struct legacy;

/** Ask the gate before us for what it leaves. Nothing where there is none. */
MUST_CHECK enum code succeed_begin(struct gate *g, struct err *e);
/** What it leaves; NULL: there is no gate before us. */
struct legacy *succeed_legacy(const struct gate *g);
/** Everything is loaded and every worker runs: go on with what moves, on the steward's loop. */
MUST_CHECK enum code succeed_prepared(struct gate *g, struct err *e);
/** We cannot; the gate before us serves on. Does not return. */
_Noreturn void succeed_cannot(struct gate *g, const struct err *e);
/** The gate is to stop. True: it does not serve yet, and does when it is told. */
bool succeed_stop(struct gate *g, int signum);
/** Give back what succeed_begin() made. */
void succeed_free(struct gate *g);

#endif
