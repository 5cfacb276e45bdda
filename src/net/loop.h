/**
 * One thread's event loop: readiness of descriptors, timers, signals, and messages from other threads.
 *
 * Everything here belongs to the loop's thread, save loop_post() and loop_send().
 * libuv serves signals, jobs and messages; no other file knows it.
 *
 * After a close no callback comes any more, and the pointer is dead for the caller at once.
 */
#ifndef PGSEAL_NET_LOOP_H
#define PGSEAL_NET_LOOP_H

#include "base/err.h"

struct loop;

/** NULL when memory or descriptors ran out. */
struct loop *loop_new(void);
/** All handles must have been closed; runs the loop until they have come back. */
void loop_free(struct loop *loop);
/** Runs until loop_stop(). */
void loop_run(struct loop *loop);
/** From a callback of this loop. */
void loop_stop(struct loop *loop);
/** Milliseconds of a clock that never steps back, as of the last wake-up. */
int64_t loop_now_ms(const struct loop *loop);
/** Which round this is, in each of which all that is ready is told: who is told in two that follow each other is
 * busy. */
uint64_t loop_round(const struct loop *loop);

/**
 * Run `fn(arg)` on the loop's thread, soon. Thread-safe. False when memory ran out: fn will not be called.
 */
MUST_CHECK bool loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);
/** The same for what is owed anyway when memory has run out: waits until there is some. */
void loop_post_owed(struct loop *loop, void (*fn)(void *arg), void *arg);
/** The same in two steps, the second of which cannot fail. NULL when memory ran out. */
struct loop_message;
struct loop_message *loop_message_new(void (*fn)(void *arg), void *arg);
/** One that was not sent. NULL is fine. */
void loop_message_free(struct loop_message *message);
/** message: taken. Thread-safe. */
void loop_send(struct loop *loop, struct loop_message *message);

/** Run `work(arg)` on a pool thread, then `done(arg)` on the loop's. Must be called on the loop's thread. */
MUST_CHECK bool loop_job(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/**
 * How many threads the pool has: what UV_THREADPOOL_SIZE in the environment says, else LOOP_POOL_SIZE. Once,
 * before any other thread and any job.
 */
enum { LOOP_POOL_SIZE = 24 /* [choice: most of them wait for name servers] */ };
void loop_pool_prepare(void);
/** As prepared. */
unsigned loop_pool_size(void);

/* ---- descriptors ---- */

enum { POLL_READ = 1, POLL_WRITE = 2 };

struct poll;
typedef void poll_fn(void *arg, unsigned events);

/** Watches nothing until poll_set(). The descriptor stays the caller's; close it after poll_close(). */
struct poll *poll_new(struct loop *loop, int fd, poll_fn *fn, void *arg);
/** POLL_READ | POLL_WRITE, or 0. Costs system calls only where it asks for more than is watched already. */
void poll_set(struct poll *poll, unsigned events);
/** Another listener for what happens from now on. */
void poll_rebind(struct poll *poll, poll_fn *fn, void *arg);
/** Before the descriptor is closed. NULL is fine. */
void poll_close(struct poll *poll);

/* ---- timers ---- */

struct timer;
typedef void timer_fn(void *arg);

/** One that is not set. NULL when memory ran out. */
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *arg);
/** Fires once, after `delay_ms`. Setting it again replaces the earlier time. */
void timer_set(struct timer *timer, int64_t delay_ms);
/** It does not fire any more until it is set again. */
void timer_stop(struct timer *timer);
/** NULL is fine. */
void timer_close(struct timer *timer);

/* ---- signals ---- */

struct signal_watch;
/** Call `fn` on the loop's thread for each signal, instead of what the signal does. NULL when memory ran out. */
struct signal_watch *signal_watch_new(struct loop *loop, int signum, void (*fn)(void *arg, int signum),
                                      void *arg);
/** NULL is fine. */
void signal_watch_close(struct signal_watch *watch);

#endif
