/** Signals that all threads can see for as long as nobody has acted on them. */
#ifndef PGSEAL_NET_PENDING_WATCH_H
#define PGSEAL_NET_PENDING_WATCH_H

#include <stdbool.h>

struct loop;

/**
 * A signal that stays pending until it is taken, so that all threads can see that it was sent, before anybody
 * has acted on it. It is blocked in the calling thread and in those that it starts from now on.
 */
struct pending_watch;
/** `fn` is called while the signal is pending. NULL when memory or descriptors ran out. */
struct pending_watch *pending_watch_new(struct loop *loop, int signum, void (*fn)(void *arg), void *arg);
/** It is no longer pending; several that were sent are one. */
void pending_watch_take(struct pending_watch *watch);
void pending_watch_close(struct pending_watch *watch);
/** On any thread in which it is blocked: was this signal sent to the process, and not taken yet? */
bool signal_is_pending(int signum);

#endif
