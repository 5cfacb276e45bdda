/**
 * A clerk in the test's own process: requests are answered at once, and frames still are frames.
 */
#ifndef PGSEAL_TESTS_STATUS_CLERK_HERE_H
#define PGSEAL_TESTS_STATUS_CLERK_HERE_H

#include "base/buf.h"
#include "clerk/clerk.h"
#include "status/clerk_wire.h"

struct clerk_here {
    struct clerk *clerk;
    struct clerk_host host;
    const struct clerk_call *call; /* being answered */
    struct buf out;
    uint64_t generation;
    bool lost; /* the next question finds no clerk, and starts another one */
};

/** field_known as in console_tls; may be NULL. */
void clerk_here_begin(struct clerk_here *here, const struct env *env, bool (*field_known)(struct str name));
void clerk_here_end(struct clerk_here *here);
struct clerk_line clerk_here_line(struct clerk_here *here);

#endif
