#include "status/console_query.h"

#include "base/check.h"
#include "base/wr.h"
#include "status/console_impl.h"
#include "status/console_portal.h"
#include "status/console_reply.h"

#include <stdio.h>

static void console_query_fail(struct console *c, struct buf *out, enum code code, const char *text)
{
    struct err e = { 0 };

    (void)err_set(&e, code, "%s", text);
    console_error_plain(c, &e, out);
}

void console_mark_time(struct console *c)
{
    if (c->transaction == TRANSACTION_IDLE)
        c->times.transaction_us = c->times.query_us;
}

bool console_ends_failure(enum stmt_kind kind)
{
    return kind == STMT_COMMIT || kind == STMT_ROLLBACK || kind == STMT_ROLLBACK_TO || kind == STMT_EMPTY;
}

/* In a failed transaction only its end is accepted. False, and reported, for everything else. */
static bool console_may_run(struct console *c, enum stmt_kind kind, struct buf *out)
{
    if (c->transaction != TRANSACTION_FAILED || console_ends_failure(kind))
        return true;
    console_query_fail(c, out, E_IN_FAILED, code_text(E_IN_FAILED));
    return false;
}

/* ---- jobs ---- */

struct job_plan {
    struct portal *portal;
    const char *tag;
    bool counts;
    enum row_form form;
    const enum pg_format *formats;
    int64_t limit;
    bool suspends;
};

void console_plan(struct console *c, enum job_kind kind, struct batch *batch)
{
    c->job.console = c;
    c->job.kind = kind;
    c->job.batch = batch;
    c->job.err = (struct err){ .code = OK };
    batch->planned_us = c->times.transaction_us;
    c->wait = WAIT_JOB;
}

static void job_begin(struct console *c, const struct job_plan *plan)
{
    struct console_job *job = &c->job;

    buf_reset(&job->out);
    job->console = c;
    job->kind = JOB_ROWS;
    job->portal = plan->portal;
    job->tag = plan->tag;
    job->counts = plan->counts;
    job->form = plan->form;
    job->formats = plan->formats;
    job->limit = plan->limit;
    job->suspends = plan->suspends;
    job->rows = 0;
    job->end = job->more = false;
    job->err = (struct err){ .code = OK };
    job->out.limit = CLERK_MESSAGES_MAX;
    c->wait = WAIT_JOB;
}

/* A portal that has given all its rows gives none again. */
static void run_rows(struct console *c, const struct job_plan *plan, struct buf *out)
{
    job_begin(c, plan);
    if (!plan->portal->done && plan->limit > 0)
        return;
    c->wait = WAIT_NOTHING;
    console_job_complete(c, out);
}

static void execute_query(struct console *c, struct portal *portal, int64_t limit, struct buf *out)
{
    bool show = !portal->cursor && portal->statement->kind == STMT_SHOW;
    struct job_plan plan = {
        .portal = portal,
        .tag = show ? "SHOW" : "SELECT",
        .counts = !show,
        .formats = portal->formats,
        .limit = limit,
        .suspends = true,
    };

    run_rows(c, &plan, out);
}

/* CopyOutResponse: text, all columns. */
static void copy_begin(struct buf *out, size_t columns)
{
    struct wr w = wr_begin(out, 'H');

    wr_u8(&w, 0);
    wr_u16(&w, (uint16_t)columns);
    for (size_t i = 0; i < columns; i++)
        wr_u16(&w, 0);
    wr_end(&w);
}

static void execute_copy(struct console *c, struct portal *portal, struct buf *out)
{
    struct job_plan plan = {
        .portal = portal,
        .tag = "COPY",
        .counts = true,
        .form = ROW_COPY,
        .limit = INT64_MAX,
    };

    copy_begin(out, portal->statement->column_count);
    run_rows(c, &plan, out);
}

static void execute_fetch(struct console *c, struct portal *portal, bool describe, struct buf *out)
{
    const struct statement *stmt = portal->statement;
    struct portal *cursor = portal_find(c, stmt->name);
    struct err e = { 0 };
    struct job_plan plan = {
        .portal = cursor,
        .tag = stmt->move ? "MOVE" : "FETCH",
        .counts = true,
        .form = stmt->move ? ROW_NONE : ROW_DATA,
        .formats = portal->formats,
        .limit = stmt->count,
    };

    if (cursor == NULL) {
        (void)err_set(&e, E_CURSOR_NAME, "cursor \"%.*s\" does not exist", STR_ARG(stmt->name));
        console_error_plain(c, &e, out);
        return;
    }
    if (describe && !stmt->move)
        portal_describe(out, cursor->statement, NULL);
    run_rows(c, &plan, out);
}

/* ---- cursors ---- */

static bool copy_params(const struct portal *from, struct portal *to)
{
    to->params = arena_array(&to->arena, from->param_count, sizeof *to->params);
    if (to->params == NULL)
        return false;
    for (size_t i = 0; i < from->param_count; i++) {
        to->params[i] = from->params[i];
        if (to->params[i].kind == DATUM_TEXT &&
            !arena_str(&to->arena, from->params[i].text, &to->params[i].text))
            return false;
    }
    to->param_count = from->param_count;
    return true;
}

static void execute_declare(struct console *c, struct portal *portal, struct buf *out)
{
    const struct statement *stmt = portal->statement;
    struct portal *cursor;
    struct err e = { 0 };

    if (!stmt->hold && c->transaction == TRANSACTION_IDLE && !c->script.block) {
        console_query_fail(c, out, E_NO_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks");
        return;
    }
    if (portal_find(c, stmt->name) != NULL) {
        (void)err_set(&e, E_DUP_CURSOR, "cursor \"%.*s\" already exists", STR_ARG(stmt->name));
        console_error_plain(c, &e, out);
        return;
    }
    if (portal_new(c, stmt->name, stmt, &cursor, &e) != OK) {
        console_error_plain(c, &e, out);
        return;
    }
    cursor->cursor = true;
    cursor->hold = stmt->hold;
    if (!copy_params(portal, cursor)) {
        portal_free(c, cursor);
        console_query_fail(c, out, E_NOMEM, "out of memory");
        return;
    }
    console_complete(out, "DECLARE CURSOR");
}

static void execute_close(struct console *c, const struct statement *stmt, struct buf *out)
{
    struct portal *p, *next;
    struct err e = { 0 };

    if (stmt->name.n == 0) {
        for (p = LIST_FIRST(&c->portals); p != NULL; p = next) {
            next = LIST_NEXT(p, next);
            if (p->cursor)
                portal_free(c, p);
        }
        console_complete(out, "CLOSE CURSOR ALL");
        return;
    }
    p = portal_find(c, stmt->name);
    if (p == NULL) {
        (void)err_set(&e, E_CURSOR_NAME, "cursor \"%.*s\" does not exist", STR_ARG(stmt->name));
        console_error_plain(c, &e, out);
        return;
    }
    portal_free(c, p);
    console_complete(out, "CLOSE CURSOR");
}

/* ---- transactions ---- */

static void execute_begin(struct console *c, const struct statement *stmt, struct buf *out)
{
    if (c->transaction == TRANSACTION_OPEN) {
        console_warn(out, E_IN_TRANSACTION, "there is already a transaction in progress");
    } else {
        vars_begin(c->vars);
        c->transaction = TRANSACTION_OPEN;
    }
    console_complete(out, stmt->name.p);
}

/* Cursors of the transaction end with it, except the one whose statement this is. */
static void end_portals(struct console *c, const struct portal *but)
{
    struct portal *p = LIST_FIRST(&c->portals), *next;

    for (; p != NULL; p = next) {
        next = LIST_NEXT(p, next);
        if (p != but && !p->hold)
            portal_free(c, p);
    }
}

static void execute_end(struct console *c, struct portal *portal, bool commit, struct buf *out)
{
    bool failed = c->transaction == TRANSACTION_FAILED;

    if (c->transaction == TRANSACTION_IDLE) {
        console_warn(out, E_NO_TRANSACTION, "there is no transaction in progress");
    } else {
        if (commit && !failed)
            vars_commit(c->vars);
        else
            vars_rollback(c->vars);
        end_portals(c, portal);
        c->savepoint_count = 0;
        c->transaction = portal->statement->chain ? TRANSACTION_OPEN : TRANSACTION_IDLE;
        if (portal->statement->chain)
            vars_begin(c->vars);
    }
    console_complete(out, commit && !failed ? "COMMIT" : "ROLLBACK");
}

static bool find_savepoint(const struct console *c, struct str name, size_t *out)
{
    for (size_t i = c->savepoint_count; i > 0; i--) {
        if (str_is(name, c->savepoints[i - 1].name)) {
            *out = i - 1;
            return true;
        }
    }
    return false;
}

static void execute_savepoint(struct console *c, const struct statement *stmt, struct buf *out)
{
    struct err e = { 0 };
    size_t i;

    if (c->transaction == TRANSACTION_IDLE) {
        (void)err_set(&e, E_NO_TRANSACTION, "%s can only be used in transaction blocks",
                      stmt->kind == STMT_SAVEPOINT ? "SAVEPOINT"
                      : stmt->kind == STMT_RELEASE ? "RELEASE SAVEPOINT"
                                                   : "ROLLBACK TO SAVEPOINT");
        console_error_plain(c, &e, out);
        return;
    }
    if (stmt->kind == STMT_SAVEPOINT) {
        if (c->savepoint_count == SAVEPOINTS_MAX ||
            !str_to_c(str_first(stmt->name, NAME_MAX_BYTES), c->savepoints[c->savepoint_count].name,
                      sizeof c->savepoints[0].name)) {
            console_query_fail(c, out, E_LIMIT, "too many savepoints");
            return;
        }
        c->savepoint_count++;
        console_complete(out, "SAVEPOINT");
        return;
    }
    if (!find_savepoint(c, stmt->name, &i)) {
        (void)err_set(&e, E_SAVEPOINT, "savepoint \"%.*s\" does not exist", STR_ARG(stmt->name));
        console_error_plain(c, &e, out);
        return;
    }
    c->savepoint_count = stmt->kind == STMT_RELEASE ? i : i + 1;
    c->transaction = TRANSACTION_OPEN;
    console_complete(out, stmt->kind == STMT_RELEASE ? "RELEASE" : "ROLLBACK");
}

/* ---- settings ---- */

static void execute_set(struct console *c, const struct statement *stmt, struct buf *out)
{
    struct err e = { 0 };
    bool changed, local = stmt->kind == STMT_SET && stmt->local;
    enum code code;

    if (local && c->transaction == TRANSACTION_IDLE) {
        console_warn(out, E_NO_TRANSACTION, "SET LOCAL can only be used in transaction blocks");
        console_complete(out, "SET");
        return;
    }
    if (stmt->kind == STMT_RESET || stmt->to_default)
        code = vars_reset(c->vars, stmt->name, &changed, &e);
    else
        code = vars_set(c->vars, stmt->name, stmt->value, &changed, &e);
    if (code != OK) {
        console_error_plain(c, &e, out);
        return;
    }
    if (!local)
        vars_keep(c->vars, stmt->name);
    console_complete(out, stmt->kind == STMT_RESET ? "RESET" : "SET");
}

static void execute_discard(struct console *c, struct portal *portal, struct buf *out)
{
    struct str tag = portal->statement->name;
    struct err e = { 0 };
    bool changed;

    if (str_is(tag, "DISCARD ALL")) {
        if (c->transaction != TRANSACTION_IDLE) {
            console_query_fail(c, out, E_IN_TRANSACTION, "DISCARD ALL cannot run inside a transaction block");
            return;
        }
        end_portals(c, portal);
        prepared_free_all(c);
        if (vars_reset(c->vars, str_of("", 0), &changed, &e) != OK) {
            console_error_plain(c, &e, out);
            return;
        }
    }
    console_complete(out, tag.p);
}

static void execute_deallocate(struct console *c, const struct statement *stmt, struct buf *out)
{
    struct prepared *p;
    struct err e = { 0 };

    if (stmt->name.n == 0) {
        prepared_free_all(c);
        console_complete(out, "DEALLOCATE ALL");
        return;
    }
    p = prepared_find(c, stmt->name);
    if (p == NULL) {
        (void)err_set(&e, E_STATEMENT_NAME, "prepared statement \"%.*s\" does not exist",
                      STR_ARG(stmt->name));
        console_error_plain(c, &e, out);
        return;
    }
    prepared_free(c, p);
    console_complete(out, "DEALLOCATE");
}

/* ---- all of them ---- */

static void execute_kind(struct console *c, struct portal *portal, int64_t limit, bool describe,
                         struct buf *out)
{
    const struct statement *stmt = portal->statement;
    struct wr w;

    switch (stmt->kind) {
    case STMT_EMPTY:
        w = wr_begin(out, 'I');
        wr_end(&w);
        return;
    case STMT_SELECT:
    case STMT_SHOW:
        if (describe)
            portal_describe(out, portal->statement, NULL);
        execute_query(c, portal, limit, out);
        return;
    case STMT_COPY:
        execute_copy(c, portal, out);
        return;
    case STMT_FETCH:
        execute_fetch(c, portal, describe, out);
        return;
    case STMT_DECLARE:
        execute_declare(c, portal, out);
        return;
    case STMT_CLOSE:
        execute_close(c, stmt, out);
        return;
    case STMT_BEGIN:
        execute_begin(c, stmt, out);
        return;
    case STMT_COMMIT:
    case STMT_ROLLBACK:
        execute_end(c, portal, stmt->kind == STMT_COMMIT, out);
        return;
    case STMT_SAVEPOINT:
    case STMT_RELEASE:
    case STMT_ROLLBACK_TO:
        execute_savepoint(c, stmt, out);
        return;
    case STMT_SET:
    case STMT_RESET:
        execute_set(c, stmt, out);
        return;
    case STMT_DISCARD:
        execute_discard(c, portal, out);
        return;
    case STMT_DEALLOCATE:
        execute_deallocate(c, stmt, out);
        return;
    case STMT_NOTHING:
        console_complete(out, stmt->name.p);
        return;
    case STMT_READ_ONLY:
        break; /* no plan is made of it */
    }
    UNREACHABLE();
}

void console_execute(struct console *c, struct portal *portal, int64_t limit, bool describe, struct buf *out)
{
    CHECK(portal);
    if (portal->cursor) /* its statement is gone; what is left is a query */
        execute_query(c, portal, limit, out);
    else if (console_may_run(c, portal->statement->kind, out))
        execute_kind(c, portal, limit, describe, out);
}

/* ---- simple Query ---- */

void console_script_begin(struct console *c, struct str text, struct buf *out)
{
    prepared_free(c, prepared_find(c, str_of("", 0)));
    portal_free(c, portal_find(c, str_of("", 0)));
    console_show_query(c, text);
    console_mark_time(c);
    c->script.active = true;
    struct batch *batch = batch_new(str_of("", 0), text);
    if (batch != NULL)
        console_plan(c, JOB_SCRIPT, batch);
    else
        console_query_fail(c, out, E_NOMEM, "out of memory");
}

void console_script_planned(struct console *c, struct buf *out)
{
    struct batch *batch = c->script.batch = TAKE(c->job.batch);

    c->script.block = batch->written > 1;
    if (c->job.err.code != OK)
        console_error_plain(c, &c->job.err, out);
    else if (batch->written == 0)
        console_error(c, &batch->error, batch->text, out);
}

/* Make the statement in hand the script's portal. */
static enum code script_portal(struct console *c, const struct statement *statement, struct sql_error *e)
{
    if (statement->param_count > 0)
        return sql_fail(e, E_UNDEF_PARAM, 0, "there is no parameter $1");
    return portal_new(c, str_of("", 0), statement, &c->unnamed_run, &e->err);
}

void console_script_step(struct console *c, struct buf *out)
{
    const struct batch *batch = c->script.batch;
    size_t at = c->script.next++;
    struct sql_error e = batch->error;

    portal_free(c, c->unnamed_run);
    c->unnamed_run = NULL;
    if (at == batch->written) {
        console_script_end(c, out);
        return;
    }
    if (!console_may_run(c, at < batch->count ? batch->items[at].kind : STMT_READ_ONLY, out))
        return;
    console_mark_time(c);
    if (at == batch->count || script_portal(c, &batch->items[at], &e) != OK)
        console_error(c, &e, batch->text, out);
    else
        console_execute(c, c->unnamed_run, INT64_MAX, true, out);
}
