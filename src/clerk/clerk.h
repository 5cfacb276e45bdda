/**
 * The clerk: reads, types and runs the statements of the status database, and makes the status report.
 *
 * What it is told and what it answers is in status/clerk_wire.h. clerk_answer() is a function from a request
 * to an answer; clerk_process() is the process around it, which has a socket to the gate and nothing else.
 */
#ifndef PGSEAL_CLERK_CLERK_H
#define PGSEAL_CLERK_CLERK_H

#include "base/err.h"

struct buf;
struct clerk;
struct clerk_acted;
struct clerk_action;
struct env;

/** What a clerk needs of those around it. */
struct clerk_host {
    void *ctx;
    const struct env *env; /* borrowed */
    /** The statement that runs is to stop; once true until the next request. */
    bool (*canceled)(void *ctx);
    /** Have it done. False: nobody is there. */
    bool (*act)(void *ctx, const struct clerk_action *action, struct clerk_acted *out);
    bool (*field_known)(struct str name); /* a name that OpenSSL knows */
};

/** `host` is copied. NULL when memory ran out. */
struct clerk *clerk_new(const struct clerk_host *host);
/** NULL is fine. */
void clerk_free(struct clerk *clerk);

/**
 * Work on one request.
 *
 * body  of the request; taken, empty afterwards.
 * out   receives one frame, or none.
 *
 * False: the request makes no sense, or memory ran out for the answer.
 */
MUST_CHECK bool clerk_answer(struct clerk *clerk, char type, struct buf *body, struct buf *out);

#endif
