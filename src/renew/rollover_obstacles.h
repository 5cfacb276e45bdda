/**
 * What stands against the end of a rollover besides clients: files, lists, and the servers behind the gate.
 */
#ifndef PGSEAL_RENEW_ROLLOVER_OBSTACLES_H
#define PGSEAL_RENEW_ROLLOVER_OBSTACLES_H

#include "renew/rollover.h"

/** Sentences in the arena, without period. */
struct rollover_obstacles {
    struct str *items;
    size_t n;
};

/**
 * Look at the files, and make a handshake with each upstream server whose certificate is verified with a file of the
 * rollover, as if the old root were gone. That a server does not answer is an obstacle.
 *
 * E_NOMEM, E_LIMIT, E_IO.
 */
MUST_CHECK enum code rollover_obstacles_find(struct rollover *r, struct rollover_obstacles *out,
                                             struct err *e);

#endif
