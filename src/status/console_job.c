/*
 * A job: the part of a statement that waits for the clerk. While it runs, the session's own thread only
 * collects bytes; so a job may touch everything that belongs to its portal without a lock.
 */
#include "status/console_job.h"

#include "base/check.h"
#include "base/env.h"
#include "base/wr.h"
#include "status/clerk_rows.h"
#include "status/clerk_self.h"
#include "status/console_impl.h"
#include "status/views.h"

uint64_t console_job_views(const struct console_job *job)
{
    uint64_t wanted = 0;

    if (job->kind != JOB_ROWS || job->portal->begun)
        return 0;
    for (size_t i = 0; i < VIEW_COUNT; i++)
        if ((job->portal->statement->views & VIEW_BIT(i)) && view_def((enum view)i)->access != ACCESS_BUILTIN)
            wanted |= VIEW_BIT(i);
    return wanted;
}

void console_job_rows(struct console_job *job, struct row_source source)
{
    struct portal *portal = job->portal;

    CHECK(!portal->begun && !portal->has_rows);
    portal->rows = source;
    portal->has_rows = true;
}

/* ---- requests ---- */

static struct clerk_budget budget_of(const struct console *c, int64_t used_us)
{
    struct clerk_budget budget = { .budget_us = (int64_t)c->params.deadline_ms * 1000 };
    int64_t timeout_ms = vars_ms(c->vars, "statement_timeout");

    if (timeout_ms > 0 && timeout_ms * 1000 < budget.budget_us)
        budget = (struct clerk_budget){ timeout_ms * 1000, timeout_ms };
    budget.budget_us = budget.budget_us > used_us ? budget.budget_us - used_us : 0;
    return budget;
}

static struct clerk_text console_job_text_of(const struct console *c, const struct batch *batch)
{
    return (struct clerk_text){
        .is_admin = c->params.is_admin,
        .can_see_all = c->params.can_see_all,
        .now_us = batch->planned_us,
        .text = batch->text,
    };
}

static void put_plan(struct buf *out, const struct console_job *job, const struct clerk_budget *budget)
{
    struct clerk_text text = console_job_text_of(job->console, job->batch);
    struct wr w = wr_begin(out, CLERK_PLAN);

    text.params = job->params;
    text.param_count = job->kind == JOB_PARSE ? job->param_count : 0;
    clerk_put_budget(&w, budget);
    clerk_put_text(&w, &text);
    wr_end(&w);
}

/* What the clerk must know to begin: after what it must know to go on. */
static void put_run(struct wr *w, const struct console_job *job)
{
    const struct console *c = job->console;
    struct portal *portal = job->portal;
    const struct statement *s = portal->statement;

    struct clerk_text text = console_job_text_of(c, s->batch);
    text.text = s->text;
    text.params = s->params;
    text.param_count = s->param_count;
    clerk_put_text(w, &text);
    clerk_put_i64(w, portal->now_us);
    wr_u16(w, (uint16_t)portal->param_count);
    for (size_t i = 0; i < portal->param_count; i++)
        clerk_put_datum(w, &portal->params[i]);
    clerk_put_self(w, &c->params, c->vars);
    clerk_put_rows(w, &c->params, portal->has_rows ? &portal->rows : NULL, console_job_views(job));
}

static struct clerk_fetch fetch_of(const struct console_job *job)
{
    return (struct clerk_fetch){
        .id = job->portal->open->id,
        .form = job->form,
        .limit = job->limit - job->rows,
        .formats = job->formats,
        .format_count = job->portal->statement->column_count,
    };
}

static void put_rows(struct buf *out, const struct console_job *job, const struct clerk_budget *budget)
{
    const struct clerk_fetch fetch = fetch_of(job);
    struct wr w = wr_begin(out, job->portal->begun ? CLERK_NEXT : CLERK_RUN);

    clerk_put_budget(&w, budget);
    clerk_put_fetch(&w, &fetch);
    if (!job->portal->begun)
        put_run(&w, job);
    wr_end(&w);
}

/* ---- answers ---- */

static enum code malformed(struct console_job *job)
{
    const struct clerk_line *line = &job->console->line;

    line->distrust(line->ctx);
    return err_set(&job->err, E_BAD_STATE, "the process that ran the statement gave an invalid answer");
}

static enum code console_job_ask(struct console_job *job, struct clerk_call *call, char expected,
                                 struct bytes *out)
{
    struct clerk_line *line = &job->console->line;
    struct sql_error e = { 0 };
    char type;

    TRY(line->ask(line->ctx, call, &type, out, &job->err));
    if (type == expected)
        return OK;
    struct rd r = rd_over(*out);
    clerk_take_error(&r, &e.err, &e.at);
    if (type != CLERK_ERROR || rd_end(&r) != OK || e.err.code == OK)
        return malformed(job);
    job->err = e.err;
    return e.err.code;
}

static enum code plan(struct console_job *job)
{
    AUTO(buf) struct buf request = BUF_INIT(CLERK_REQUEST_MAX);
    struct clerk_budget budget = budget_of(job->console, 0);
    struct bytes body;

    put_plan(&request, job, &budget);
    if (!buf_ok(&request))
        return err_set(&job->err, E_NOMEM, "out of memory");
    struct clerk_call call = {
        .request = buf_bytes(&request),
        .budget_us = budget.budget_us,
        .timeout_ms = budget.timeout_ms,
        .canceled = &job->console->canceled,
    };
    TRY(console_job_ask(job, &call, CLERK_PLANNED, &body));
    enum code code = batch_read(job->batch, body, &job->err);
    return code == E_BAD_STATE ? malformed(job) : code;
}

static enum code read_rows(struct console_job *job, struct bytes body)
{
    const struct clerk_fetch fetch = fetch_of(job);
    struct clerk_chunk chunk;

    if (!clerk_read_chunk(body, &fetch, job->portal->statement->column_count, &chunk))
        return malformed(job);
    job->end = chunk.end;
    job->rows += chunk.rows;
    buf_append(&job->out, chunk.messages);
    return buf_ok(&job->out) ? OK : err_set(&job->err, E_NOMEM, "out of memory");
}

/* The clerk has them now. */
static void release_rows(struct portal *portal)
{
    if (portal->has_rows && portal->rows.release != NULL)
        portal->rows.release(portal->rows.ctx);
    portal->has_rows = false;
}

static enum code rows(struct console_job *job, const struct clerk_budget *budget)
{
    AUTO(buf) struct buf request = BUF_INIT(CLERK_REQUEST_MAX);
    struct portal *portal = job->portal;
    struct bytes body;

    put_rows(&request, job, budget);
    release_rows(portal);
    if (!buf_ok(&request))
        return err_set(&job->err, E_LIMIT, "the rows of the views take too much memory");
    struct clerk_call call = {
        .request = buf_bytes(&request),
        .budget_us = budget->budget_us,
        .timeout_ms = budget->timeout_ms,
        .canceled = &job->console->canceled,
        .self = &job->console->params,
        .generation = portal->begun ? portal->open->generation : 0,
    };
    enum code code = console_job_ask(job, &call, CLERK_ROWS, &body);
    portal->begun = true;
    portal->open->generation = call.generation;
    if (code == OK)
        return read_rows(job, body);
    if (code == E_CURSOR_NAME && portal->cursor)
        (void)err_set(&job->err, code, "cursor \"%s\" does not exist", portal->name);
    else if (code == E_CURSOR_NAME)
        (void)err_set(&job->err, code, "portal \"%s\" does not exist", portal->name);
    if (code == E_CURSOR_NAME)
        err_detail(&job->err, "The process that ran its statement has ended.");
    return code;
}

void console_job_run(struct console_job *job)
{
    const struct env *env = job->console->params.env;
    int64_t began_us = env_mono_us(env);

    job->err.code = OK;
    if (job->kind != JOB_ROWS) {
        (void)plan(job); /* a failure is in job->err */
        return;
    }
    const struct clerk_budget budget = budget_of(job->console, job->portal->used_us);
    (void)rows(job, &budget); /* likewise */
    job->portal->used_us += env_mono_us(env) - began_us;
}
