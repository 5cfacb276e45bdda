/**
 * The timers of one loop: a heap by time, and by the order of setting where times are equal.
 *
 * For loop.c only; everybody else uses timer_*() of net/loop.h. No clock here: times come from the caller.
 */
#ifndef PGSEAL_NET_TIMERS_H
#define PGSEAL_NET_TIMERS_H

#include "net/loop.h"

struct timer {
    struct loop *loop;
    timer_fn *fn;
    void *arg;
    int64_t due_ms;
    uint64_t order; /* counts settings */
    size_t place;   /* in the heap, from 1; 0: not running */
};

/** Zeroed is empty. */
struct timers {
    struct timer **heap; /* heap[1] is due first */
    size_t n, room;      /* running; and how many could */
    size_t known;        /* made and not removed: there is always room for all of them */
    uint64_t order;
};

/** Timers that have not been removed stay their owners'. */
void timers_fini(struct timers *timers);
/** A timer that does not run. NULL when memory ran out. */
struct timer *timers_add(struct timers *timers, struct loop *loop, timer_fn *fn, void *arg);
/** Stops and frees it. */
void timers_remove(struct timers *timers, struct timer *timer);
/** Fire once, when `due_ms` has come. Replaces an earlier time. */
void timers_start(struct timers *timers, struct timer *timer, int64_t due_ms);
/** Harmless where it does not run. */
void timers_stop(struct timers *timers, struct timer *timer);
/** Milliseconds until the first is due; 0: one is; -1: none runs. */
int timers_wait_ms(const struct timers *timers, int64_t now_ms);
/** Fire all that are due, save those that are set meanwhile. A timer may remove itself or others. */
void timers_run(struct timers *timers, int64_t now_ms);

#endif
