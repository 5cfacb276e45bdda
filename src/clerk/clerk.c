/* Requests, one by one. */
#include "clerk/clerk.h"

#include "base/check.h"
#include "clerk/clerk_impl.h"
#include "clerk/plan.h"
#include "clerk/report.h"
#include "clerk/run.h"
#include "status/clerk_self.h"
#include "status/vars.h"

#include <stdlib.h>

enum { REPORT_ARENA_MAX = 1 << 30 };

struct clerk *clerk_new(const struct clerk_host *host)
{
    struct clerk *clerk = calloc(1, sizeof *clerk);

    if (clerk == NULL)
        return NULL;
    clerk->host = *host;
    LIST_INIT(&clerk->open);
    clerk->db = db_open(status_schema());
    if (clerk->db != NULL)
        return clerk;
    clerk_free(clerk);
    return NULL;
}

void clerk_free(struct clerk *clerk)
{
    if (clerk == NULL)
        return;
    while (!LIST_EMPTY(&clerk->open))
        clerk_end(clerk, LIST_FIRST(&clerk->open));
    report_free(clerk->report);
    db_close(clerk->db);
    free(clerk);
}

/* ---- 'T' ---- */

static enum code report(struct clerk *clerk, struct rd *r, struct buf *json, struct err *e)
{
    AUTO(arena) struct arena arena;
    AUTO(vars) struct vars *vars = vars_new();
    struct console_params self = { .env = clerk->host.env };

    arena_init(&arena, REPORT_ARENA_MAX, 4096);
    if (vars == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    const struct clerk_budget budget = clerk_take_budget(r);
    clerk_take_self(r, &arena, &self, vars);
    struct clerk_rows *rows = clerk_take_rows(r, &arena);
    if (clerk->report == NULL && !r->bad)
        clerk->report = report_new(clerk->host.env, self.started_us);
    if (rows == NULL || clerk->report == NULL || rd_end(r) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    struct row_source source = clerk_rows_source(rows);
    const struct report_request request = { .rows = &source,
                                            .loaded_us = self.loaded_us,
                                            .budget_us = budget.budget_us };
    return report_run(clerk->report, &request, json, e);
}

static bool make_report(struct clerk *clerk, struct bytes body, struct buf *out)
{
    AUTO(buf) struct buf json = BUF_INIT(CLERK_REPORT_MAX);
    struct rd r = rd_over(body);
    struct err e = { 0 };

    if (report(clerk, &r, &json, &e) != OK) {
        clerk_error_frame(out, &e, 0);
        return buf_ok(out);
    }
    struct wr w = wr_begin(out, CLERK_REPORTED);
    wr_bytes(&w, buf_bytes(&json));
    wr_end(&w);
    return buf_ok(out);
}

bool clerk_answer(struct clerk *clerk, char type, struct buf *body, struct buf *out)
{
    bool done = false;

    switch ((enum clerk_type)type) {
    case CLERK_PLAN:
        done = clerk_plan(buf_bytes(body), out);
        break;
    case CLERK_RUN:
        done = clerk_run(clerk, body, out);
        break;
    case CLERK_NEXT:
        done = clerk_go_on(clerk, buf_bytes(body), out);
        break;
    case CLERK_REPORT:
        done = make_report(clerk, buf_bytes(body), out);
        break;
    case CLERK_FORGET:
        done = clerk_forget(clerk, buf_bytes(body));
        break;
    case CLERK_CANCEL: /* came when the statement had ended */
        done = true;
        break;
    case CLERK_ACTED:
    case CLERK_PLANNED:
    case CLERK_ROWS:
    case CLERK_REPORTED:
    case CLERK_ACT:
    case CLERK_ERROR:
        break;
    }
    buf_fini(body);
    return done;
}
