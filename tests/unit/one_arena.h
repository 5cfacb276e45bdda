/** The arena of a test program, for setup and teardown of each test or of all. */
#ifndef PGSEAL_TESTS_ONE_ARENA_H
#define PGSEAL_TESTS_ONE_ARENA_H

#include "base/arena.h"
#include "unit.h"

static struct arena arena;

static inline int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 24, 4096);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

#endif
