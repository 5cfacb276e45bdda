/* Prepared statements, portals and cursors by name. */
#include "base/check.h"
#include "base/wr.h"
#include "pgtypes/type.h"
#include "status/console_impl.h"

#include <stdlib.h>

enum { PORTAL_ARENA_MAX = 16 << 20 };

struct portal *portal_find(struct console *c, struct str name)
{
    struct portal *p;

    LIST_FOREACH (p, &c->portals, next) {
        if (str_is(name, p->name))
            return p;
    }
    return NULL;
}

static void stop(struct portal *portal)
{
    db_finalize(portal->stmt);
    portal->stmt = NULL;
    if (portal->has_rows && portal->rows.release != NULL)
        portal->rows.release(portal->rows.ctx);
    portal->has_rows = false;
}

void portal_free(struct console *c, struct portal *portal)
{
    if (portal == NULL)
        return;
    LIST_REMOVE(portal, next);
    c->portal_count--;
    stop(portal);
    plan_unref(portal->plan);
    arena_fini(&portal->arena);
    free(portal);
}

enum code portal_new(struct console *c, struct str name, struct plan *plan, struct portal **out,
                     struct err *e)
{
    struct portal *portal;

    name = str_first(name, NAME_MAX_BYTES);
    if (c->portal_count >= CONSOLE_PORTALS_MAX)
        return err_set(e, E_LIMIT, "too many portals are open");
    portal = calloc(1, sizeof *portal);
    if (portal == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    CHECK(str_to_c(name, portal->name, sizeof portal->name));
    arena_init(&portal->arena, PORTAL_ARENA_MAX, 256);
    portal->plan = plan_ref(plan);
    portal->now_us = c->times.transaction_us;
    LIST_INSERT_HEAD(&c->portals, portal, next);
    c->portal_count++;
    *out = portal;
    return OK;
}

void portal_free_all(struct console *c, bool also_held)
{
    struct portal *p = LIST_FIRST(&c->portals), *next;

    for (; p != NULL; p = next) {
        next = LIST_NEXT(p, next);
        if (also_held || !p->hold)
            portal_free(c, p);
    }
}

struct prepared *prepared_find(struct console *c, struct str name)
{
    struct prepared *p;

    LIST_FOREACH (p, &c->statements, next) {
        if (str_equal(p->plan->name, name))
            return p;
    }
    return NULL;
}

enum code prepared_add(struct console *c, struct plan *plan, struct err *e)
{
    struct prepared *p = NULL;

    if (c->statement_count >= CONSOLE_STATEMENTS_MAX)
        (void)err_set(e, E_LIMIT, "too many prepared statements");
    else if ((p = calloc(1, sizeof *p)) == NULL)
        (void)err_set(e, E_NOMEM, "out of memory");
    if (p == NULL) {
        plan_unref(plan);
        return e->code;
    }
    p->plan = plan;
    LIST_INSERT_HEAD(&c->statements, p, next);
    c->statement_count++;
    return OK;
}

void prepared_free(struct console *c, struct prepared *p)
{
    if (p == NULL)
        return;
    LIST_REMOVE(p, next);
    c->statement_count--;
    plan_unref(p->plan);
    free(p);
}

void portal_describe(struct buf *out, const struct plan *plan, const enum pg_format *formats)
{
    struct wr w;

    if (plan == NULL) {
        w = wr_begin(out, 'n');
        wr_end(&w);
        return;
    }
    w = wr_begin(out, 'T');
    wr_u16(&w, (uint16_t)plan->column_count);
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct pg_type_def *type = pg_type_def(plan->columns[i].type);
        wr_cstr(&w, plan->columns[i].name);
        wr_u32(&w, 0); /* no table */
        wr_u16(&w, 0); /* no attribute */
        wr_u32(&w, type->oid);
        wr_u16(&w, (uint16_t)type->length);
        wr_u32(&w, UINT32_MAX); /* no modifier */
        wr_u16(&w, formats != NULL ? (uint16_t)formats[i] : PG_FORMAT_TEXT);
    }
    wr_end(&w);
}

const struct plan *console_result_plan(struct console *c, const struct plan *plan)
{
    const struct portal *cursor;

    if (plan->stmt->kind == STMT_SELECT || plan->stmt->kind == STMT_SHOW)
        return plan;
    if (plan->stmt->kind != STMT_FETCH || plan->stmt->move)
        return NULL;
    cursor = portal_find(c, plan->stmt->name);
    return cursor != NULL ? cursor->plan : NULL;
}
