/** A loop's turn. */
#ifndef PGSEAL_TESTS_NET_TURN_H
#define PGSEAL_TESTS_NET_TURN_H

#include "../unit.h"

#include "net/loop.h"

static inline void turn_stop(void *arg)
{
    loop_stop(arg);
}

/**
 * What is ready and what was posted is told, then the loop stops.
 */
static inline void turn_once(struct loop *loop)
{
    assert_true(loop_post(loop, turn_stop, loop));
    loop_run(loop);
}

#endif
