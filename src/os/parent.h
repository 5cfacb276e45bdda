/**
 * What a gate asks of the process above it (os/family.h), and hears from it.
 *
 *   gate → parent, on the line                       parent → gate, on the line
 *   S  start a clerk, and end the last one           F  with a descriptor: the socket to it
 *                                                    X  it could not be started; the reason as text
 *   K  end the last clerk
 *   N  a text for the service manager
 *
 *   gate → parent, on the line, of an upgrade        parent → gate, on its orders
 *   C  the old gate: it is the other's from now on   U  with a descriptor: the link to a successor
 *   A  the old gate: it serves on; the reason        X  give the upgrade up
 *   B  the new gate: it serves
 *
 * Each is one packet, of at most PARENT_PACKET_MAX bytes.
 */
#ifndef PGSEAL_OS_PARENT_H
#define PGSEAL_OS_PARENT_H

#include "base/err.h"
#include "base/log.h"

#include <stdatomic.h>

enum {
    PARENT_PACKET_MAX = 1024,
    PARENT_CLERK_FD = 3 /* in a clerk: its socket */
};

/** What ties a gate to its parent; each -1 where there is none. */
struct parent_ties {
    int line;
    int orders;
    int link; /* to the gate that this one succeeds */
};

/** What parent and gate tell each other by memory. */
struct parent_shared {
    atomic_bool forwarding; /* the parent: a signal is neither pending there any more, nor here yet */
    atomic_bool json;       /* the gate: the log is of that form */
};

/** In a gate, once: who its parent is, and the memory that they share. */
void parent_join(const struct parent_ties *ties, struct parent_shared *shared);

/**
 * A new clerk's socket (returned to caller); the clerk before is killed. Blocks for as long as the parent
 * takes, five seconds at most. One thread at a time.
 */
MUST_CHECK enum code parent_clerk(int line, int *out_fd, struct err *e);
/** Kill the clerk. Never blocks. */
void parent_end_clerk(int line);
/**
 * On any thread: this signal was sent to the parent, and has not been sent on to us yet. Whoever connects after
 * `kill -HUP` has returned must find the new rules.
 */
bool parent_has_signal(int signum);
/** In which form the parent is to log from now on. */
void parent_log_as(enum log_format format);

/** What a gate says of an upgrade. */
enum parent_word { PARENT_COMMITTED = 'C', PARENT_ABANDONED = 'A', PARENT_BEGUN = 'B' };
/** Tell the parent; harmless without one. */
void parent_tell(int line, enum parent_word word, const char *text);

/** What the parent orders. */
enum parent_order { PARENT_NOTHING, PARENT_UPGRADE, PARENT_GIVE_UP, PARENT_GONE };
/** The next order, without blocking. *out_link (returned to caller) of PARENT_UPGRADE: the link. */
enum parent_order parent_ordered(int orders, int *out_link);

#endif
