/**
 * The one thread that runs the status database's statements, and how it asks the other threads.
 *
 * It is the only one in the gate that may wait: for files, and for answers of the steward and the workers.
 */
#ifndef PGSEAL_GATE_WORK_SQL_THREAD_H
#define PGSEAL_GATE_WORK_SQL_THREAD_H

#include "base/err.h"

struct loop;
struct sql_thread;

/** Not running yet. NULL when memory or descriptors ran out. */
struct sql_thread *sql_thread_new(void);
MUST_CHECK enum code sql_thread_start(struct sql_thread *thread, struct err *e);
/** Statements that wait for other threads give up; what is posted is done; the thread ends. */
void sql_thread_join(struct sql_thread *thread);
/** After sql_thread_join(). NULL is fine. */
void sql_thread_free(struct sql_thread *thread);
/** Its loop, for timers: set up before it starts, or on it. */
struct loop *sql_thread_loop(struct sql_thread *thread);
/** From any thread: run something there. */
MUST_CHECK bool sql_thread_post(struct sql_thread *thread, void (*fn)(void *arg), void *arg);

struct question_share;

/** A question to loops, and its answer. `answer`, or `begin`, is called once on each of the loops. */
struct question {
    struct loop *const *loops;
    size_t n_loops;
    void (*answer)(void *arg, size_t loop); /* with `arg`, and which of the loops it is */
    /** Instead of `answer`: it has answered when it calls sql_thread_answered(), on that loop. */
    void (*begin)(void *arg, struct question_share *share);
    void (*release)(void *arg); /* once, when nobody uses `arg` any more; on any thread */
    void *arg;                  /* taken */
};

/**
 * On the SQL thread: wait until all loops have answered. False when some did not within the time, or memory
 * ran out; `arg` may then still be in use. Otherwise `keep` is called before `release`.
 */
MUST_CHECK bool sql_thread_ask(struct sql_thread *thread, const struct question *question,
                               void (*keep)(void *arg, void *out), void *out);

/** share: taken. */
void sql_thread_answered(struct question_share *share);

#endif
