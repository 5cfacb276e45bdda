/**
 * Running statements, a chunk of rows at a time.
 */
#ifndef PGSEAL_CLERK_RUN_H
#define PGSEAL_CLERK_RUN_H

#include "clerk/clerk_impl.h"

/** 'R': body is taken. 'N'. 'C'. */
MUST_CHECK bool clerk_run(struct clerk *clerk, struct buf *body, struct buf *out);
MUST_CHECK bool clerk_go_on(struct clerk *clerk, struct bytes body, struct buf *out);
MUST_CHECK bool clerk_forget(struct clerk *clerk, struct bytes body);
void clerk_end(struct clerk *clerk, struct open_statement *open);

#endif
