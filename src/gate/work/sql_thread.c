/* One thread with a loop, and questions to others with a time limit. */
#include "gate/work/sql_thread.h"

#include "net/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ANSWER_S = 10 /* a reload that takes longer is reported as not made */ };

struct sql_thread {
    struct loop *loop;
    pthread_t thread;
    pthread_mutex_t lock; /* guards `stopping` and every asked.left */
    pthread_cond_t answered;
    bool stopping;
    bool running;
};

/* A question under way. Each loop and the caller hold it. */
struct asked {
    struct sql_thread *thread;
    struct question question;
    _Atomic size_t refs;
    size_t left; /* loops that have not answered */
};

/* One loop's share of it. */
struct question_share {
    struct asked *asked;
    size_t loop;
};

/* By the clock that never steps: an answer is not late because somebody set the date. */
static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

struct sql_thread *sql_thread_new(void)
{
    struct sql_thread *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    t->loop = loop_new();
    if (!t->loop) {
        free(t);
        return NULL;
    }
    (void)pthread_mutex_init(&t->lock, NULL);
    init_condition(&t->answered);
    return t;
}

static void *sql_thread_run(void *arg)
{
    struct sql_thread *t = arg;

    loop_run(t->loop);
    return NULL;
}

enum code sql_thread_start(struct sql_thread *thread, struct err *e)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the steward's */
    int why = pthread_create(&thread->thread, NULL, sql_thread_run, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (why != 0)
        return err_set(e, E_NOMEM, "could not start the SQL thread: %s", strerror(why));
    thread->running = true;
    return OK;
}

static void stop(void *arg)
{
    struct sql_thread *t = arg;

    loop_stop(t->loop);
}

void sql_thread_join(struct sql_thread *thread)
{
    if (!thread || !thread->running)
        return;
    (void)pthread_mutex_lock(&thread->lock);
    thread->stopping = true;
    (void)pthread_cond_broadcast(&thread->answered);
    (void)pthread_mutex_unlock(&thread->lock);
    if (!loop_post(thread->loop, stop, thread))
        abort(); /* out of memory while stopping: nothing is owed to anybody */
    (void)pthread_join(thread->thread, NULL);
    thread->running = false;
}

void sql_thread_free(struct sql_thread *thread)
{
    if (!thread)
        return;
    loop_free(thread->loop);
    (void)pthread_cond_destroy(&thread->answered);
    (void)pthread_mutex_destroy(&thread->lock);
    free(thread);
}

struct loop *sql_thread_loop(struct sql_thread *thread)
{
    return thread->loop;
}

bool sql_thread_post(struct sql_thread *thread, void (*fn)(void *arg), void *arg)
{
    return loop_post(thread->loop, fn, arg);
}

/* ---- questions ---- */

static void asked_drop(struct asked *asked)
{
    if (atomic_fetch_sub_explicit(&asked->refs, 1, memory_order_acq_rel) != 1)
        return;
    asked->question.release(asked->question.arg);
    free(asked);
}

void sql_thread_answered(struct question_share *share)
{
    struct asked *asked = share->asked;
    struct sql_thread *t = asked->thread;

    free(share);
    (void)pthread_mutex_lock(&t->lock);
    asked->left--;
    (void)pthread_cond_broadcast(&t->answered);
    (void)pthread_mutex_unlock(&t->lock);
    asked_drop(asked);
}

static void on_loop(void *arg)
{
    struct question_share *share = arg;

    const struct question *question = &share->asked->question;

    if (question->begin) {
        question->begin(question->arg, share);
        return;
    }
    question->answer(question->arg, share->loop);
    sql_thread_answered(share);
}

/* Give each loop its share. False when memory ran out for one of them. */
static bool hand_out(struct asked *asked)
{
    size_t failed = 0;

    for (size_t i = 0; i < asked->question.n_loops; i++) {
        struct question_share *share = malloc(sizeof *share);
        if (share)
            *share = (struct question_share){ .asked = asked, .loop = i };
        if (share && loop_post(asked->question.loops[i], on_loop, share))
            continue;
        free(share);
        failed++;
    }
    (void)pthread_mutex_lock(&asked->thread->lock);
    asked->left -= failed;
    (void)pthread_mutex_unlock(&asked->thread->lock);
    atomic_fetch_sub_explicit(&asked->refs, failed, memory_order_acq_rel); /* the asker's own stays */
    return failed == 0;
}

/* True when all have answered in time. */
static bool wait_for(struct asked *asked)
{
    struct sql_thread *t = asked->thread;
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ANSWER_S;
    (void)pthread_mutex_lock(&t->lock);
    while (asked->left > 0 && !t->stopping)
        if (pthread_cond_timedwait(&t->answered, &t->lock, &until) != 0)
            break;
    bool done = asked->left == 0;
    (void)pthread_mutex_unlock(&t->lock);
    return done;
}

bool sql_thread_ask(struct sql_thread *thread, const struct question *question,
                    void (*keep)(void *arg, void *out), void *out)
{
    struct asked *asked = malloc(sizeof *asked);

    if (!asked) {
        question->release(question->arg);
        return false;
    }
    *asked = (struct asked){ .thread = thread, .question = *question, .left = question->n_loops };
    atomic_init(&asked->refs, question->n_loops + 1);
    bool done = hand_out(asked);
    done = wait_for(asked) && done;
    if (done)
        keep(question->arg, out);
    asked_drop(asked);
    return done;
}
