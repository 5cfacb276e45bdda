/* steward → worker (gathering) → SQL thread → steward. What is under way belongs to the thread it is on. */
#include "gate/views/overview.h"

#include "base/buf.h"
#include "base/check.h"
#include "gate/load/snapshot.h"
#include "gate/views/gather.h"
#include "gate/views/rows.h"
#include "gate/work/clerk_link.h"
#include "gate/work/sql_thread.h"
#include "gate/work/worker.h"
#include "net/loop.h"
#include "status/clerk_rows.h"
#include "status/clerk_self.h"
#include "status/vars.h"
#include "status/views.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    REPORT_DEADLINE_US = 5 * 1000 * 1000, /* of all queries together */
    OWN_MAX = 256                         /* what the steward adds */
};

struct overview {
    struct gate_shared *shared;
    overview_fn *done; /* NULL: nobody waits; touched on the steward's loop only */
    void *arg;
    const char *not_ready; /* as overview_ask() was given it */
    struct worker *worker; /* that gathers */
    struct gather *gather;
    struct row_source rows; /* release is NULL while there are none */
    int64_t loaded_us;
    struct buf json;
    struct err err; /* code is OK where json is the answer */
};

struct overview *overview_new(struct gate_shared *shared)
{
    struct overview *o = calloc(1, sizeof *o);

    if (!o)
        return NULL;
    o->shared = shared;
    buf_init(&o->json, CLERK_REPORT_MAX + OWN_MAX);
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
    if (done) /* it may ask again */
        done(o->arg, buf_bytes(&o->json), o->err.code == OK ? NULL : &o->err);
    if (!o->done)
        buf_fini(&o->json);
}

static void come_back(struct overview *o)
{
    loop_post_owed(o->shared->steward, answered, o);
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
    buf_fini(&overview->json);
    free(overview);
}

/* ---- on the SQL thread ---- */

/* The views that the report's queries name, as far as rows must be sent for them. */
static uint64_t report_views(void)
{
    static const char *const queries[] = {
#define X(name, form, sql) sql,
#include "report.def"
#undef X
    };
    uint64_t views = VIEW_BIT(VIEW_PG_SETTINGS); /* current_setting() */

    for (size_t i = 0; i < VIEW_COUNT; i++)
        for (size_t q = 0; q < COUNT_OF(queries); q++)
            if (strstr(queries[q], view_def((enum view)i)->name))
                views |= VIEW_BIT(i);
    return views;
}

static bool put_request(struct overview *o, struct buf *out)
{
    AUTO(vars) struct vars *vars = vars_new();
    const struct clerk_budget budget = { .budget_us = REPORT_DEADLINE_US };
    /* A reader who may see everything and set nothing in motion. */
    const struct console_params self = { .can_see_all = true,
                                         .started_us = o->shared->started_us,
                                         .loaded_us = o->loaded_us };

    if (!vars)
        return false;
    struct wr w = wr_begin(out, CLERK_REPORT);
    clerk_put_budget(&w, &budget);
    clerk_put_self(&w, &self, vars);
    clerk_put_rows(&w, &self, &o->rows, report_views());
    wr_end(&w);
    return buf_ok(out);
}

/* What a page is made of must be an object with members, whoever wrote it. E_BAD_STATE: it is not. */
static enum code check_json(struct bytes text)
{
    json_error_t why;
    json_t *read = json_loadb((const char *)text.p, text.n, 0, &why);
    enum code code = json_object_size(read) > 0 && text.p[0] == '{' ? OK : E_BAD_STATE;

    if (!read && json_error_code(&why) == json_error_out_of_memory)
        code = E_NOMEM;
    json_decref(read);
    return code;
}

/* The clerk's object, and in front of its members what only the steward knows. False: out of memory. */
static bool put_report(struct overview *o, struct bytes object)
{
    const char *quote = o->not_ready ? "\"" : "";
    const struct bytes members = bytes_of(object.p + 1, object.n - 1);

    return buf_printf(&o->json, "{\"not_ready\": %s%s%s, ", quote, o->not_ready ? o->not_ready : "null",
                      quote) &&
           buf_append(&o->json, members);
}

static enum code ask_clerk(struct overview *o, struct bytes request)
{
    const struct clerk_line line = clerk_link_line(o->shared->clerk);
    struct clerk_call call = { .request = request, .budget_us = REPORT_DEADLINE_US };
    struct bytes body;
    uint32_t at;
    char type;

    TRY(line.ask(line.ctx, &call, &type, &body, &o->err));
    enum code code = type == CLERK_REPORTED && body.n <= CLERK_REPORT_MAX ? check_json(body) : E_BAD_STATE;
    if (code == OK && put_report(o, body))
        return OK;
    if (code != E_BAD_STATE)
        return err_set(&o->err, E_NOMEM, "out of memory");
    struct rd r = rd_over(body);
    clerk_take_error(&r, &o->err, &at);
    if (type == CLERK_ERROR && rd_end(&r) == OK && o->err.code != OK)
        return o->err.code;
    line.distrust(line.ctx);
    return err_set(&o->err, E_BAD_STATE, "the process that makes the report gave an invalid answer");
}

static void overview_run(void *arg)
{
    struct overview *o = arg;
    AUTO(buf) struct buf request = BUF_INIT(CLERK_REQUEST_MAX);

    bool made = put_request(o, &request);
    release_rows(o);
    if (made)
        o->err.code = ask_clerk(o, buf_bytes(&request));
    else
        err_set(&o->err, E_NOMEM, "out of memory");
    come_back(o);
}

/* ---- on the worker ---- */

static void on_gathered(void *arg)
{
    struct overview *o = arg;
    struct gather *gather = o->gather;

    o->gather = NULL;
    o->loaded_us = snapshot_loaded_us(o->worker->snapshot);
    if (!rows_new(o->worker, gather, &o->rows)) {
        gather_free(gather);
        give_up(o, E_NOMEM, "out of memory");
    } else if (!sql_thread_post(o->shared->sql, overview_run, o)) {
        release_rows(o);
        give_up(o, E_NOMEM, "out of memory");
    }
}

static void overview_begin(void *arg)
{
    struct overview *o = arg;

    if (o->worker->draining) { /* its loop may end before the answer comes */
        give_up(o, E_SHUTDOWN, "the gate is stopping");
        return;
    }
    o->gather = gather_new(o->worker, GATHER_SESSIONS | GATHER_TALLY | GATHER_CLIENTS, on_gathered, o);
    if (!o->gather)
        give_up(o, E_NOMEM, "out of memory");
}

/* ---- on the steward's loop ---- */

void overview_ask(struct overview *overview, const char *not_ready, overview_fn *done, void *arg)
{
    CHECK(!overview->done);
    overview->done = done;
    overview->arg = arg;
    overview->not_ready = not_ready;
    overview->err.code = OK;
    buf_reset(&overview->json);
    overview->worker = overview->shared->workers[0];
    if (loop_post(overview->worker->loop, overview_begin, overview))
        return;
    err_set(&overview->err, E_NOMEM, "out of memory");
    answered(overview);
}
