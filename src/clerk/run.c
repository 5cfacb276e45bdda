/*
 * Running statements, a chunk of rows at a time.
 *
 * A statement that has not ended keeps its request: parameters, facts and rows are read where they came. What
 * all of them hold is bounded, and what one session's hold to half of that.
 */
#include "clerk/run.h"

#include "base/check.h"
#include "base/env.h"
#include "clerk/clerk_impl.h"
#include "clerk/copy.h"
#include "pgtypes/pgbinary.h"
#include "sql/sql_parse.h"
#include "status/clerk_self.h"
#include "status/vars.h"
#include "status/views.h"

#include <stdlib.h>

enum { VALUE_TEXT_MAX = 4 << 20 };
#define HELD_MAX ((size_t)512 << 20)
#define OPEN_ARENA_MAX ((size_t)1 << 30)

void clerk_end(struct clerk *clerk, struct open_statement *open)
{
    LIST_REMOVE(open, next);
    clerk->held -= open->held;
    db_finalize(open->stmt);
    vars_free(open->vars);
    arena_fini(&open->arena);
    buf_fini(&open->request);
    free(open);
}

static struct open_statement *run_find(const struct clerk *clerk, uint64_t id)
{
    struct open_statement *open;

    LIST_FOREACH (open, &clerk->open, next)
        if (open->id == id)
            return open;
    return NULL;
}

/* ---- actions ---- */

static bool order(const struct clerk *clerk, enum clerk_action_kind kind, struct err *note)
{
    const struct clerk_action action = { .kind = kind };
    struct clerk_acted acted;

    if (!clerk->host.act(clerk->host.ctx, &action, &acted))
        return false;
    *note = acted.note;
    return acted.done;
}

static bool reload(void *ctx, struct err *note)
{
    return order(ctx, CLERK_ACT_RELOAD, note);
}

static bool recheck(void *ctx, struct err *note)
{
    return order(ctx, CLERK_ACT_RECHECK, note);
}

static enum signal_result signal_session(void *ctx, const struct signal_request *request, struct err *e)
{
    const struct clerk *clerk = ctx;
    const struct clerk_action action = {
        .kind = request->kind == SIGNAL_TERMINATE ? CLERK_ACT_TERMINATE : CLERK_ACT_CANCEL,
        .pid = request->pid,
    };
    struct clerk_acted acted;

    if (!clerk->host.act(clerk->host.ctx, &action, &acted))
        return SIGNAL_NO_SESSION;
    *e = acted.note;
    return acted.signal;
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
        pg_text_write(scratch, type, value, &view_names);
    if (!buf_ok(scratch))
        w->b->failed = true;
    wr_u32(w, (uint32_t)scratch->n);
    wr_bytes(w, buf_bytes(scratch));
}

static void put_row(struct buf *out, struct open_statement *open, const struct clerk_fetch *fetch,
                    struct buf *scratch)
{
    const struct clerk_columns *columns = &open->columns;
    struct wr w;

    if (fetch->form == ROW_NONE)
        return;
    if (fetch->form == ROW_COPY) {
        copy_row(out, &open->copy, open->stmt, columns);
        return;
    }
    w = wr_begin(out, 'D');
    wr_u16(&w, (uint16_t)columns->count);
    for (size_t i = 0; i < columns->count; i++) {
        struct datum value = db_column(open->stmt, (unsigned)i, columns->types[i]);
        put_value(&w, columns->types[i], i < fetch->format_count ? fetch->formats[i] : PG_FORMAT_TEXT, &value,
                  scratch);
    }
    wr_end(&w);
}

/* ---- a chunk of rows ---- */

static enum code step_rows(struct open_statement *open, const struct clerk_fetch *fetch, struct buf *out,
                           struct clerk_chunk *done, struct err *e)
{
    AUTO(buf) struct buf scratch = BUF_INIT(VALUE_TEXT_MAX);
    bool row = true;

    if (open->has_header)
        copy_header(out, &open->columns, &open->copy);
    open->has_header = false;
    while (done->rows < fetch->limit && out->n < CLERK_CHUNK) {
        TRY(db_step(open->stmt, &row, e));
        if (!row) {
            done->end = true;
            return OK;
        }
        put_row(out, open, fetch, &scratch);
        done->rows++;
        if (!buf_ok(out))
            return err_set(e, E_LIMIT, "a row is too long for the status database");
    }
    return OK;
}

static struct status_context context_of(const struct clerk *clerk, struct open_statement *open,
                                        const struct clerk_budget *budget, struct buf *notices)
{
    return (struct status_context){
        .db.env = clerk->host.env,
        .db.now_us = open->now_us,
        .db.deadline_us = env_mono_us(clerk->host.env) + budget->budget_us,
        .db.timeout_ms = budget->timeout_ms,
        .db.canceled = clerk->host.canceled,
        .db.canceled_arg = clerk->host.ctx,
        .db.notices = notices,
        .self = &open->self,
        .vars = open->vars,
        .rows = &open->rows,
    };
}

/* Give rows, and end the statement when there are no more, or when it fails. */
static bool give_rows(struct clerk *clerk, struct open_statement *open, const struct clerk_fetch *fetch,
                      const struct db_context *cx, struct buf *out)
{
    struct clerk_chunk done = { 0 };
    struct err e = { 0 };

    db_stmt_context(open->stmt, cx);
    if (step_rows(open, fetch, cx->notices, &done, &e) != OK)
        clerk_error_frame(out, &e, 0);
    else {
        struct wr w = wr_begin(out, CLERK_ROWS);
        wr_u8(&w, done.end);
        clerk_put_i64(&w, done.rows);
        wr_bytes(&w, buf_bytes(cx->notices));
        wr_end(&w);
    }
    if (e.code != OK || done.end)
        clerk_end(clerk, open);
    return buf_ok(out);
}

bool clerk_go_on(struct clerk *clerk, struct bytes body, struct buf *out)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf messages = BUF_INIT(CLERK_MESSAGES_MAX);
    struct rd r = rd_over(body);
    struct clerk_fetch fetch;
    struct err e = { 0 };

    arena_init(&arena, CLERK_TEXT_MAX, 256);
    const struct clerk_budget budget = clerk_take_budget(&r);
    clerk_take_fetch(&r, &arena, &fetch);
    if (rd_end(&r) != OK)
        return false;
    struct open_statement *open = run_find(clerk, fetch.id);
    if (open == NULL) {
        (void)err_set(&e, E_CURSOR_NAME, "%s", code_text(E_CURSOR_NAME));
        clerk_error_frame(out, &e, 0);
        return buf_ok(out);
    }
    const struct status_context cx = context_of(clerk, open, &budget, &messages);
    return give_rows(clerk, open, &fetch, &cx.db, out);
}

bool clerk_forget(struct clerk *clerk, struct bytes body)
{
    struct rd r = rd_over(body);
    struct open_statement *open = run_find(clerk, (uint64_t)clerk_take_i64(&r));

    if (open != NULL)
        clerk_end(clerk, open);
    return rd_end(&r) == OK;
}

/* ---- beginning ---- */

static enum code run_no_memory(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* What outlives the tree. */
static bool run_keep(struct open_statement *open, const struct plan *plan)
{
    struct str *names = arena_array(&open->arena, plan->column_count, sizeof *names);
    enum pg_type *types = arena_array(&open->arena, plan->column_count, sizeof *types);

    if (names == NULL || types == NULL)
        return false;
    for (size_t i = 0; i < plan->column_count; i++) {
        types[i] = plan->columns[i].type;
        if (!arena_str(&open->arena, plan->columns[i].name, &names[i]))
            return false;
    }
    open->columns = (struct clerk_columns){ names, types, plan->column_count };
    open->copy = plan->stmt->copy;
    open->has_header = plan->stmt->kind == STMT_COPY && open->copy.header;
    return open->copy.null_text.n == 0 ||
           arena_str(&open->arena, open->copy.null_text, &open->copy.null_text);
}

/* Once more what the first look at the text found. */
static enum code plan(struct open_statement *open, const struct clerk_text *text, struct plan *plan,
                      struct err *e)
{
    const struct plan_context context = { status_schema(), text->is_admin, text->can_see_all, text->now_us };
    struct sql_error placed = { 0 };
    struct stmt *stmt;

    memcpy(plan->params, text->params, text->param_count * sizeof plan->params[0]);
    plan->param_count = text->param_count;
    enum code code = sql_parse(&plan->arena, text->text, &stmt, &placed);
    if (code == OK)
        code = plan_make(plan, stmt, &context, &placed);
    if (code != OK) {
        *e = placed.err;
        return code;
    }
    return run_keep(open, plan) ? OK : run_no_memory(e);
}

static enum code prepare(struct clerk *clerk, struct open_statement *open, const struct clerk_text *text,
                         const struct db_context *cx, struct err *e)
{
    struct plan *p = plan_new();

    if (p == NULL)
        return run_no_memory(e);
    enum code code = plan(open, text, p, e);
    if (code == OK)
        code = db_prepare(clerk->db, cx, p->sql, &open->stmt, e);
    plan_free(p);
    return code;
}

/* The request, piece by piece; false when it is malformed, or memory ran out. */
static bool take_request(const struct clerk *clerk, struct open_statement *open, struct rd *r,
                         struct clerk_text *text, const struct datum **out_params)
{
    clerk_take_text_request(r, &open->arena, text);
    open->now_us = clerk_take_i64(r);
    size_t count = rd_u16(r);
    struct datum *params = arena_array(&open->arena, count, sizeof *params);
    if (params == NULL || count != text->param_count)
        return false;
    for (size_t i = 0; i < count; i++)
        params[i] = clerk_take_datum(r);
    open->self = (struct console_params){
        .env = clerk->host.env,
        .tls.field_known = clerk->host.field_known,
        .actions = { .ctx = (void *)(uintptr_t)clerk,
                     .reload = reload,
                     .recheck = recheck,
                     .signal = signal_session },
    };
    clerk_take_self(r, &open->arena, &open->self, open->vars);
    struct clerk_rows *rows = clerk_take_rows(r, &open->arena);
    if (rows == NULL || rd_end(r) != OK)
        return false;
    open->rows = clerk_rows_source(rows);
    *out_params = params;
    return true;
}

/* Room for what it holds, if others leave some. */
static enum code hold(struct clerk *clerk, struct open_statement *open, struct err *e)
{
    const struct open_statement *other;
    size_t own = open->request.size + open->arena.used, session = own;

    LIST_FOREACH (other, &clerk->open, next)
        if (other != open && other->self.pid == open->self.pid)
            session += other->held;
    if (own > HELD_MAX - clerk->held || session > HELD_MAX / 2) {
        (void)err_set(e, E_NOMEM, "out of memory");
        err_detail(e, "Open cursors hold too many rows.");
        return E_NOMEM;
    }
    open->held = own;
    clerk->held += own;
    return OK;
}

static enum code run_begin(struct clerk *clerk, struct open_statement *open, struct rd *r,
                           const struct status_context *cx, struct err *e)
{
    const struct datum *params = NULL;
    struct clerk_text text;

    open->vars = vars_new();
    if (open->vars == NULL || !take_request(clerk, open, r, &text, &params))
        return run_no_memory(e);
    TRY(hold(clerk, open, e));
    struct status_context now = *cx;
    now.vars = open->vars;
    TRY(prepare(clerk, open, &text, &now.db, e));
    for (size_t i = 0; i < text.param_count; i++)
        TRY(db_bind(open->stmt, (unsigned)i + 1, &params[i], e));
    return OK;
}

static struct open_statement *open_new(struct clerk *clerk, struct buf *body)
{
    struct open_statement *open = calloc(1, sizeof *open);

    if (open == NULL)
        return NULL;
    open->request = *body;
    buf_init(body, open->request.limit);
    arena_init(&open->arena, OPEN_ARENA_MAX, 4096);
    LIST_INSERT_HEAD(&clerk->open, open, next);
    return open;
}

bool clerk_run(struct clerk *clerk, struct buf *body, struct buf *out)
{
    AUTO(buf) struct buf messages = BUF_INIT(CLERK_MESSAGES_MAX);
    struct open_statement *open = open_new(clerk, body);
    struct clerk_fetch fetch;
    struct err e = { 0 };

    if (open == NULL)
        return false;
    struct rd r = rd_over(buf_bytes(&open->request));
    const struct clerk_budget budget = clerk_take_budget(&r);
    clerk_take_fetch(&r, &open->arena, &fetch);
    open->id = fetch.id;
    const struct status_context cx = context_of(clerk, open, &budget, &messages);
    if (run_begin(clerk, open, &r, &cx, &e) != OK) {
        clerk_error_frame(out, &e, 0);
        clerk_end(clerk, open);
        return buf_ok(out);
    }
    const struct status_context set = context_of(clerk, open, &budget,
                                                 &messages); /* with what has been read */
    return give_rows(clerk, open, &fetch, &set.db, out);
}
