/**
 * The facts of a session on their way to the clerk.
 */
#ifndef PGSEAL_STATUS_CLERK_SELF_H
#define PGSEAL_STATUS_CLERK_SELF_H

#include "status/clerk_wire.h"

struct vars;

/** The facts of a session: all of console_params that SQL can ask for, and its settings. */
void clerk_put_self(struct wr *w, const struct console_params *self, const struct vars *vars);
/** Texts are borrowed from the body, lists live in `arena`. env, actions and tls.field_known stay the caller's. */
void clerk_take_self(struct rd *r, struct arena *arena, struct console_params *self, struct vars *vars);

#endif
