/* steward → worker (gathering) → SQL thread → steward. What is under way belongs to the thread it is on. */
#include "gate/views/overview.h"

#include "base/buf.h"
#include "base/check.h"
#include "gate/load/snapshot.h"
#include "gate/session/worker.h"
#include "gate/views/gather.h"
#include "gate/views/rows.h"
#include "gate/views/sql_thread.h"
#include "net/loop.h"
#include "status/report.h"

#include <stdlib.h>
#include <time.h>

enum { POST_AGAIN_NS = 10 * 1000 * 1000 };

struct overview {
    struct gate_shared *shared;
    overview_fn *done; /* NULL: nobody waits; touched on the steward's loop only */
    void *arg;
    struct worker *worker; /* that gathers */
    struct gather *gather;
    struct row_source rows; /* release is NULL while there are none */
    int64_t loaded_us;
    struct report *report; /* made by the first run */
    struct buf json;
    struct err err; /* code is OK where json is the answer */
};

struct overview *overview_new(struct gate_shared *shared)
{
    struct overview *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->shared = shared;
    buf_init(&o->json, REPORT_TEXT_MAX);
    return o;
}

static void release_rows(struct overview *o)
{
    if (o->rows.release)
        o->rows.release(o->rows.ctx);
    o->rows = (struct row_source){ 0 };
}

/* ---- back on the steward's loop ---- */

static void answered(void *arg)
{
    struct overview *o = arg;
    overview_fn *done = o->done;

    o->done = NULL;
    if (done) /* it may ask anew */
        done(o->arg, buf_bytes(&o->json), o->err.code == OK ? NULL : &o->err);
    if (!o->done)
        buf_fini(&o->json);
}

static void come_back(struct overview *o)
{
    static const struct timespec again = { .tv_nsec = POST_AGAIN_NS };

    while (!loop_post(o->shared->steward, answered, o))
        (void)nanosleep(&again, NULL); /* memory has run out: the answer is owed all the same */
}

static void give_up(struct overview *o, enum code code, const char *why)
{
    err_set(&o->err, code, "%s", why);
    come_back(o);
}

void overview_stop(struct overview *overview)
{
    const struct err why = { .code = E_SHUTDOWN, .message = "the gate is stopping" };

    if (!overview || !overview->done)
        return;
    overview_fn *done = overview->done;
    overview->done = NULL;
    done(overview->arg, bytes_of(NULL, 0), &why);
}

void overview_free(struct overview *overview)
{
    if (!overview)
        return;
    release_rows(overview);
    report_free(overview->report);
    buf_fini(&overview->json);
    free(overview);
}

/* ---- on the SQL thread ---- */

static void run(void *arg)
{
    struct overview *o = arg;

    if (!o->report)
        o->report = report_new(o->shared->env, o->shared->started_us);
    if (!o->report)
        err_set(&o->err, E_NOMEM, "out of memory");
    else
        o->err.code = report_run(o->report, &o->rows, o->loaded_us, &o->json, &o->err);
    release_rows(o);
    come_back(o);
}

/* ---- on the worker ---- */

static void on_gathered(void *arg)
{
    struct overview *o = arg;
    struct gather *gather = o->gather;

    o->gather = NULL;
    o->loaded_us = snapshot_loaded_us(worker_snapshot(o->worker));
    if (!rows_new(o->worker, gather, &o->rows)) {
        gather_free(gather);
        give_up(o, E_NOMEM, "out of memory");
    } else if (!sql_thread_post(o->shared->sql, run, o)) {
        release_rows(o);
        give_up(o, E_NOMEM, "out of memory");
    }
}

static void begin(void *arg)
{
    struct overview *o = arg;

    if (worker_draining(o->worker)) { /* its loop may end before the answer comes */
        give_up(o, E_SHUTDOWN, "the gate is stopping");
        return;
    }
    o->gather = gather_new(o->worker, GATHER_SESSIONS | GATHER_TALLY | GATHER_CLIENTS, on_gathered, o);
    if (!o->gather)
        give_up(o, E_NOMEM, "out of memory");
}

/* ---- on the steward's loop ---- */

void overview_ask(struct overview *overview, overview_fn *done, void *arg)
{
    CHECK(!overview->done);
    overview->done = done;
    overview->arg = arg;
    overview->err.code = OK;
    buf_reset(&overview->json);
    overview->worker = overview->shared->workers[0];
    if (worker_post(overview->worker, begin, overview))
        return;
    err_set(&overview->err, E_NOMEM, "out of memory");
    answered(overview);
}
