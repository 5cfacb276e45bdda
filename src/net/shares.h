/**
 * Places that clients hold for a while, shared out by prefix (net/prefix.h).
 *
 * While there is room, any client may have it: behind NAT, or in a cluster, many clients have one address. When
 * there are too many, the oldest of the heaviest prefix yields: of the site that holds most places, the
 * network that holds most of its, the place that was taken first. Of equally heavy ones it is the one that
 * has the oldest place. So who takes many places takes them from himself.
 *
 * Thread-safe; a place belongs to the loop of its owner.
 */
#ifndef PGSEAL_NET_SHARES_H
#define PGSEAL_NET_SHARES_H

#include "net/prefix.h"

#include <stddef.h>

struct loop;
struct share;
struct shares;

/** NULL when memory ran out. */
struct shares *shares_new(void);
/** All places have been left, and the loops of those that yielded have been freed. NULL is fine. */
void shares_free(struct shares *shares);

struct share_owner {
    struct loop *loop;
    /** On the loop, soon after it was decided: the place is taken away, and the share is gone. Not called
     * after share_leave(). */
    void (*yield)(void *arg);
    void *arg;
};

/** Take a place. NULL when memory ran out. */
struct share *shares_take(struct shares *shares, const struct prefix *prefix,
                          const struct share_owner *owner);
/** Give it back. On the owner's loop. NULL is fine. */
void share_leave(struct share *share);
/** As many yield as there are more than `limit`. From then on they do not count. */
void shares_trim(struct shares *shares, size_t limit);
/** One of them yields. False: there is none. */
bool shares_make_room(struct shares *shares);
/** How many places are taken. */
size_t shares_count(struct shares *shares);

#endif
