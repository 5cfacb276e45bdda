/**
 * What the statements of a text are.
 */
#ifndef PGSEAL_CLERK_PLAN_H
#define PGSEAL_CLERK_PLAN_H

#include "clerk/clerk_impl.h"

/** 'P' */
MUST_CHECK bool clerk_plan(struct bytes body, struct buf *out);

#endif
