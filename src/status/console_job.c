/*
 * A job: the part of a statement that runs on the SQL thread. While it runs, the session's own thread only
 * collects bytes; so a job may touch everything that belongs to its portal without a lock.
 */
#include "base/check.h"
#include "base/env.h"
#include "base/wr.h"
#include "pgtypes/pgbinary.h"
#include "sql/views.h"
#include "status/console_impl.h"

enum { VALUE_TEXT_MAX = 4 << 20 };

uint64_t console_job_views(const struct console_job *job)
{
    uint64_t views = job->portal->begun ? 0 : job->portal->plan->views, wanted = 0;

    for (size_t i = 0; i < VIEW_COUNT; i++)
        if ((views & VIEW_BIT(i)) && view_def((enum view)i)->access != ACCESS_BUILTIN)
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

/* ---- one row ---- */

static void put_value(struct wr *w, enum pg_type type, enum pg_format format, const struct datum *value,
                      struct buf *scratch)
{
    if (value->kind == DATUM_NULL) {
        wr_u32(w, UINT32_MAX);
        return;
    }
    buf_reset(scratch);
    if (format == PG_FORMAT_BINARY)
        pg_binary_write(scratch, type, value);
    else
        pg_text_write(scratch, type, value);
    if (!buf_ok(scratch))
        w->b->failed = true;
    wr_u32(w, (uint32_t)scratch->n);
    wr_bytes(w, buf_bytes(scratch));
}

static void put_row(struct console_job *job, struct buf *scratch)
{
    const struct plan *plan = job->portal->plan;
    struct wr w;

    if (job->form == ROW_NONE)
        return;
    if (job->form == ROW_COPY) {
        copy_row(&job->out, job->copy, job->portal->stmt, plan);
        return;
    }
    w = wr_begin(&job->out, 'D');
    wr_u16(&w, (uint16_t)plan->column_count);
    for (size_t i = 0; i < plan->column_count; i++) {
        struct datum value = db_column(job->portal->stmt, (unsigned)i, plan->columns[i].type);
        put_value(&w, plan->columns[i].type, job->formats != NULL ? job->formats[i] : PG_FORMAT_TEXT, &value,
                  scratch);
    }
    wr_end(&w);
}

/* ---- running ---- */

static enum code start(struct console_job *job, const struct db_context *cx)
{
    struct console *c = job->console;
    struct portal *portal = job->portal;

    if (c->db == NULL)
        c->db = db_open();
    if (c->db == NULL)
        return err_set(&job->err, E_NOMEM, "out of memory");
    portal->begun = true;
    TRY(db_prepare(c->db, cx, portal->plan->sql, &portal->stmt, &job->err));
    for (size_t i = 0; i < portal->param_count; i++)
        TRY(db_bind(portal->stmt, (unsigned)i + 1, &portal->params[i], &job->err));
    return OK;
}

static enum code step_rows(struct console_job *job, const struct db_context *cx)
{
    AUTO(buf) struct buf scratch = BUF_INIT(VALUE_TEXT_MAX);
    bool row = true;

    if (!job->portal->begun)
        TRY(start(job, cx));
    db_stmt_context(job->portal->stmt, cx);
    while (job->rows < job->limit && job->out.n < CONSOLE_CHUNK) {
        TRY(db_step(job->portal->stmt, &row, &job->err));
        if (!row) {
            job->end = true;
            return OK;
        }
        put_row(job, &scratch);
        job->rows++;
        if (!buf_ok(&job->out))
            return err_set(&job->err, E_LIMIT, "a row is too long for the status database");
    }
    return OK;
}

void console_job_run(struct console_job *job)
{
    struct console *c = job->console;
    struct portal *portal = job->portal;
    int64_t began_us = env_mono_us(c->params.env), limit_us = (int64_t)c->params.deadline_ms * 1000;
    int64_t timeout_ms = vars_ms(c->vars, "statement_timeout");
    struct db_context cx = {
        .self = &c->params,
        .vars = c->vars,
        .rows = portal->has_rows ? &portal->rows : NULL,
        .now_us = portal->now_us,
        .canceled = &c->canceled,
        .notices = &job->out,
    };

    if (timeout_ms > 0 && timeout_ms * 1000 < limit_us) {
        limit_us = timeout_ms * 1000;
        cx.timeout_ms = timeout_ms;
    }
    cx.deadline_us = began_us + limit_us - portal->used_us;
    job->err.code = OK;
    (void)step_rows(job, &cx); /* a failure is in job->err */
    portal->used_us += env_mono_us(c->params.env) - began_us;
}
