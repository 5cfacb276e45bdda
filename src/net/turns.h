/**
 * Turns at something that bears only so many at once, shared out by prefix (net/prefix.h).
 *
 * Each resource has a limit of its own. Of its turns one site holds at most a quarter, and at least one. Who finds none
 * free waits, and is told on its loop. The sites that wait are served in rotation, and within a site who came first comes
 * first; who has had a turn before and needs another one goes before all others. A resource that refuses for want
 * of room is given one at a time, and after each success twice as many.
 *
 * Thread-safe; a turn belongs to the loop of its owner. Memory is held only for those that have a turn or wait.
 */
#ifndef PGSEAL_NET_TURNS_H
#define PGSEAL_NET_TURNS_H

#include "base/slice.h"
#include "net/prefix.h"

#include <stddef.h>
#include <stdint.h>

struct loop;
struct turn;
struct turns;

enum { TURN_RESOURCE_MAX = 128 /* bytes of its name */ };

/** NULL when memory ran out. */
struct turns *turns_new(void);
/** All have left, and the loops of those that waited have been freed. NULL is fine. */
void turns_free(struct turns *turns);

struct turn_wish {
    struct bytes resource; /* what is waited for: borrowed for the call */
    struct prefix prefix;  /* on whose behalf */
    size_t limit;          /* of the resource, as of now: 1 or more */
    bool again;            /* what needs it was begun in an earlier turn */
    struct loop *loop;
    /** On the loop, after it waited: it has a turn now. Not called after turn_leave(). */
    void (*go)(void *arg);
    void *arg;
};

/** Take a turn, or wait for one; turn_waits() tells which. NULL when memory ran out. */
struct turn *turn_take(struct turns *turns, const struct turn_wish *wish);
/** On the owner's loop: `go` is still to be called. */
bool turn_waits(const struct turn *turn);
/** Give it back, or wait no longer. On the owner's loop. NULL is fine. */
void turn_leave(struct turn *turn);
/** What it was for came to a good end: there is room. The turn goes on. */
void turn_worked(struct turn *turn);
/**
 * The resource has no room for more. Returns how many milliseconds to wait, in this turn, before it is tried
 * again; or -1: others hold turns too, this one is given back, and `go` is called when it is its turn again.
 */
int64_t turn_refused(struct turn *turn);

/** How many have turns, and how many wait. */
struct turn_count {
    size_t held, waiting;
};

/** For each resource in use. `each` must not call back. */
void turns_count(struct turns *turns,
                 void (*each)(void *arg, struct bytes resource, const struct turn_count *count), void *arg);

#endif
