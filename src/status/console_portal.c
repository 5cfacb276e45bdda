#include "status/console_portal.h"

#include "base/check.h"
#include "base/hash.h"
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

/* It gives no more rows: its snapshot goes. */
static void portal_stop(struct console *c, struct portal *portal)
{
    if (portal->open != NULL)
        c->line.forget(c->line.ctx, portal->open);
    portal->open = NULL;
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
    portal_stop(c, portal);
    batch_unref(portal->statement->batch);
    arena_fini(&portal->arena);
    free(portal);
}

enum code portal_new(struct console *c, struct str name, const struct statement *statement,
                     struct portal **out, struct err *e)
{
    struct portal *portal;

    name = str_first(name, NAME_MAX_BYTES);
    if (c->portal_count >= CONSOLE_PORTALS_MAX)
        return err_set(e, E_LIMIT, "too many portals are open");
    portal = calloc(1, sizeof *portal);
    struct clerk_open *open = calloc(1, sizeof *open);
    if (portal == NULL || open == NULL) {
        free(portal);
        free(open);
        return err_set(e, E_NOMEM, "out of memory");
    }
    open->id = (uint64_t)(uint32_t)c->params.pid << 32 | ++c->portal_number;
    portal->open = open;
    CHECK(str_to_c(name, portal->name, sizeof portal->name));
    arena_init(&portal->arena, PORTAL_ARENA_MAX, 256);
    (void)batch_ref(statement->batch);
    portal->statement = statement;
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

/* Names are the session's own, so nobody else suffers from a crowded bucket. */
static size_t bucket_of(struct str name)
{
    return hash_str(HASH_BEGIN, name) % PREPARED_BUCKETS;
}

struct prepared *prepared_find(struct console *c, struct str name)
{
    struct prepared *p;

    LIST_FOREACH (p, &c->statements[bucket_of(name)], next) {
        if (str_equal(p->batch->name, name))
            return p;
    }
    return NULL;
}

static size_t prepared_size(const struct prepared *p)
{
    return sizeof *p + batch_size(p->batch);
}

enum code prepared_add(struct console *c, struct batch *batch, struct err *e)
{
    struct prepared *p = calloc(1, sizeof *p);

    if (p == NULL) {
        batch_unref(batch);
        return err_set(e, E_NOMEM, "out of memory");
    }
    p->batch = batch;
    if (prepared_size(p) > CONSOLE_PREPARED_MAX - c->prepared_size) {
        batch_unref(batch);
        free(p);
        (void)err_set(e, E_LIMIT, "prepared statements of a session exceed %d MB",
                      CONSOLE_PREPARED_MAX >> 20);
        err_hint(e, "Free some with DEALLOCATE.");
        return E_LIMIT;
    }
    c->prepared_size += prepared_size(p);
    LIST_INSERT_HEAD(&c->statements[bucket_of(batch->name)], p, next);
    return OK;
}

void prepared_free(struct console *c, struct prepared *p)
{
    if (p == NULL)
        return;
    LIST_REMOVE(p, next);
    c->prepared_size -= prepared_size(p);
    batch_unref(p->batch);
    free(p);
}

void prepared_free_all(struct console *c)
{
    for (size_t i = 0; i < PREPARED_BUCKETS; i++) {
        struct prepared *p, *next;
        for (p = LIST_FIRST(&c->statements[i]); p; p = next) {
            next = LIST_NEXT(p, next);
            prepared_free(c, p);
        }
    }
}

void portal_describe(struct buf *out, const struct statement *statement, const enum pg_format *formats)
{
    struct wr w;

    if (statement == NULL) {
        w = wr_begin(out, 'n');
        wr_end(&w);
        return;
    }
    w = wr_begin(out, 'T');
    wr_u16(&w, (uint16_t)statement->column_count);
    for (size_t i = 0; i < statement->column_count; i++) {
        const struct pg_type_def *type = pg_type_def(statement->columns[i].type);
        wr_cstr(&w, statement->columns[i].name);
        wr_u32(&w, 0); /* no table */
        wr_u16(&w, 0); /* no attribute */
        wr_u32(&w, type->oid);
        wr_u16(&w, (uint16_t)type->length);
        wr_u32(&w, UINT32_MAX); /* no modifier */
        wr_u16(&w, formats != NULL ? (uint16_t)formats[i] : PG_FORMAT_TEXT);
    }
    wr_end(&w);
}

const struct statement *console_result_of(struct console *c, const struct statement *statement)
{
    const struct portal *cursor;

    if (statement->kind == STMT_SELECT || statement->kind == STMT_SHOW)
        return statement;
    if (statement->kind != STMT_FETCH || statement->move)
        return NULL;
    cursor = portal_find(c, statement->name);
    return cursor != NULL ? cursor->statement : NULL;
}

void portal_done(struct console *c, struct portal *portal)
{
    portal_stop(c, portal);
    portal->done = true;
}
