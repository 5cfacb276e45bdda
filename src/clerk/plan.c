#include "clerk/plan.h"

#include "base/check.h"
#include "clerk/clerk_impl.h"
#include "sql/sql_parse.h"
#include "status/schema.h"
#include "status/statement.h"

enum { TEXT_ARENA_MAX = 32 << 20 };

/* Plan one and append what it is. */
static enum code plan_one(const struct clerk_text *request, struct stmt *stmt, struct wr *w,
                          struct sql_error *e)
{
    const struct plan_context context = { status_schema(), request->is_admin, request->can_see_all,
                                          request->now_us };
    struct plan *plan = plan_new();

    if (plan == NULL)
        return sql_fail(e, E_NOMEM, 0, "out of memory");
    memcpy(plan->params, request->params, request->param_count * sizeof plan->params[0]);
    plan->param_count = request->param_count;
    enum code code = plan_make(plan, stmt, &context, e);
    if (code == OK)
        batch_put_statement(w, plan, request->text);
    plan_free(plan);
    if (code == OK && !buf_ok(w->b))
        return sql_fail(e, E_COMPLEX, 0, "statement is too complex");
    return code;
}

/* All of them, or those before the first mistake. */
static void plan_all(const struct clerk_text *request, struct wr *w)
{
    AUTO(arena) struct arena arena;
    struct sql_error e = { 0 };
    struct stmt *stmt = NULL;
    size_t written = 0, planned = 0, counts_at = w->b->n;

    arena_init(&arena, TEXT_ARENA_MAX, 4096);
    batch_put_head(w, 0, 0);
    enum code code = sql_parse(&arena, request->text, &stmt, &e);
    for (const struct stmt *s = code == OK ? stmt : NULL; s != NULL; s = s->next)
        written++;
    for (; code == OK && stmt != NULL; stmt = stmt->next) {
        size_t before = w->b->n;
        code = plan_one(request, stmt, w, &e);
        if (code == OK)
            planned++;
        else if (!buf_ok(w->b)) {
            w->b->failed = false; /* what there is room for stays */
            w->b->n = before;
        }
    }
    clerk_patch_u32(w->b, counts_at, (uint32_t)written);
    clerk_patch_u32(w->b, counts_at + 4, (uint32_t)planned);
    batch_put_tail(w, &e);
}

bool clerk_plan(struct bytes body, struct buf *out)
{
    AUTO(arena) struct arena arena;
    struct clerk_text request;
    struct rd r = rd_over(body);
    AUTO(buf) struct buf described = BUF_INIT(CLERK_PLAN_MAX - 4096);

    arena_init(&arena, CLERK_TEXT_MAX, 256);
    (void)clerk_take_budget(&r);
    clerk_take_text_request(&r, &arena, &request);
    if (rd_end(&r) != OK)
        return false;
    struct wr w = { .b = &described };
    plan_all(&request, &w);
    struct wr whole = wr_begin(out, CLERK_PLANNED);
    wr_bytes(&whole, buf_bytes(&described));
    wr_end(&whole);
    return buf_ok(out) && buf_ok(&described);
}
