/**
 * What statements may set in motion: a reload by the steward, a signal to a session of some worker.
 */
#ifndef PGSEAL_GATE_SESSION_CONSOLE_ACTIONS_H
#define PGSEAL_GATE_SESSION_CONSOLE_ACTIONS_H

#include "gate/session/console.h"

struct worker;

/** What statements may set in motion (console_actions.c). */
struct console_actions console_actions_of(struct worker *worker);

#endif
