/* Descriptions of statements, written by the clerk, read by the gate. */
#include "status/statement.h"

#include "base/check.h"
#include "status/clerk_wire.h"
#include "status/rows.h"

#include <stdlib.h>

enum {
    BATCH_ARENA_MAX = 32 << 20,
    BATCH_ARENA_FIRST = 256,
    NAME_BYTES_MAX = 64 * 1024,
    FLAG_DEFAULT = 1,
    FLAG_LOCAL = 2,
    FLAG_MOVE = 4,
    FLAG_HOLD = 8,
    FLAG_CHAIN = 16,
    FLAGS_ALL = 31
};

struct batch *batch_new(struct str name, struct str text)
{
    struct batch *batch = calloc(1, sizeof *batch);

    if (batch == NULL)
        return NULL;
    batch->refs = 1;
    arena_init(&batch->arena, BATCH_ARENA_MAX, BATCH_ARENA_FIRST);
    if (arena_str(&batch->arena, name, &batch->name) && arena_str(&batch->arena, text, &batch->text))
        return batch;
    batch_unref(batch);
    return NULL;
}

struct batch *batch_ref(struct batch *batch)
{
    batch->refs++;
    return batch;
}

void batch_unref(struct batch *batch)
{
    if (batch == NULL || --batch->refs > 0)
        return;
    arena_fini(&batch->arena);
    free(batch);
}

size_t batch_size(const struct batch *batch)
{
    return sizeof *batch + batch->arena.used;
}

/* ---- the clerk writes ---- */

void batch_put_head(struct wr *w, size_t written, size_t planned)
{
    wr_u32(w, (uint32_t)written);
    wr_u32(w, (uint32_t)planned);
}

void batch_put_statement(struct wr *w, const struct plan *plan, struct str whole)
{
    const struct stmt *s = plan->stmt;
    unsigned flags = (s->to_default ? FLAG_DEFAULT : 0U) | (s->local ? FLAG_LOCAL : 0U) |
                     (s->move ? FLAG_MOVE : 0U) | (s->hold ? FLAG_HOLD : 0U) | (s->chain ? FLAG_CHAIN : 0U);

    wr_u8(w, (uint8_t)s->kind);
    wr_u8(w, (uint8_t)flags);
    clerk_put_i64(w, s->count);
    wr_u32(w, s->text.n > 0 ? (uint32_t)(s->text.p - whole.p) : 0);
    wr_u32(w, (uint32_t)s->text.n);
    clerk_put_str(w, s->name);
    clerk_put_str(w, s->value);
    wr_u16(w, (uint16_t)plan->column_count);
    for (size_t i = 0; i < plan->column_count; i++) {
        wr_u8(w, (uint8_t)plan->columns[i].type);
        clerk_put_str(w, plan->columns[i].name);
    }
    wr_u16(w, (uint16_t)plan->param_count);
    for (size_t i = 0; i < plan->param_count; i++)
        wr_u8(w, (uint8_t)plan->params[i]);
    clerk_put_i64(w, (int64_t)plan->relations);
}

void batch_put_tail(struct wr *w, const struct sql_error *error)
{
    clerk_put_error(w, &error->err, error->at);
}

/* ---- the gate reads ---- */

static struct str take_copy(struct batch *batch, struct rd *r)
{
    struct str s = clerk_take_text(r, NAME_BYTES_MAX);

    if (arena_str(&batch->arena, s, &s))
        return s;
    batch->no_memory = r->bad = true;
    return STR("");
}

static void take_columns(struct batch *batch, struct rd *r, struct statement *s)
{
    size_t count = rd_u16(r);
    struct result_column *columns = arena_array(&batch->arena, count, sizeof *columns);

    if (columns == NULL || count > CLERK_COLUMNS_MAX) {
        r->bad = true;
        batch->no_memory = columns == NULL;
        return;
    }
    for (size_t i = 0; i < count && !r->bad; i++) {
        columns[i].type = (enum pg_type)clerk_take_enum(r, PG_TYPE_COUNT);
        columns[i].name = take_copy(batch, r);
    }
    s->columns = columns;
    s->column_count = count;
}

static void take_params(struct batch *batch, struct rd *r, struct statement *s)
{
    size_t count = rd_u16(r);
    enum pg_type *params = arena_array(&batch->arena, count, sizeof *params);

    if (params == NULL || count > CLERK_PARAMS_MAX) {
        r->bad = true;
        batch->no_memory = params == NULL;
        return;
    }
    for (size_t i = 0; i < count && !r->bad; i++)
        params[i] = (enum pg_type)clerk_take_enum(r, PG_TYPE_COUNT);
    s->params = params;
    s->param_count = count;
}

static void take_statement(struct batch *batch, struct rd *r, struct statement *s)
{
    s->batch = batch;
    s->kind = (enum stmt_kind)clerk_take_enum(r, STMT_READ_ONLY); /* no plan is made of that one */
    unsigned flags = clerk_take_enum(r, FLAGS_ALL + 1);
    s->to_default = flags & FLAG_DEFAULT;
    s->local = flags & FLAG_LOCAL;
    s->move = flags & FLAG_MOVE;
    s->hold = flags & FLAG_HOLD;
    s->chain = flags & FLAG_CHAIN;
    s->count = clerk_take_i64(r);
    uint32_t at = rd_u32(r), n = rd_u32(r);
    if (s->count < 0 || at > batch->text.n || n > batch->text.n - at) {
        r->bad = true;
        return;
    }
    s->text = str_of(batch->text.p + at, n);
    s->name = take_copy(batch, r);
    s->value = take_copy(batch, r);
    take_columns(batch, r, s);
    take_params(batch, r, s);
    s->views = (uint64_t)clerk_take_i64(r);
    if (s->views >= VIEW_BIT(VIEW_COUNT))
        r->bad = true;
}

enum code batch_read(struct batch *batch, struct bytes body, struct err *e)
{
    struct rd r = rd_over(body);
    size_t written = rd_u32(&r), count = rd_u32(&r);
    struct sql_error error = { 0 };

    /* A statement takes a byte of the text at least, and an empty text is one. */
    if (body.n > CLERK_PLAN_MAX || written > batch->text.n + 1 || count > written)
        return err_set(e, E_BAD_STATE, "%s", code_text(E_BAD_STATE));
    batch->items = arena_array(&batch->arena, count, sizeof *batch->items);
    if (batch->items == NULL)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < count && !r.bad; i++)
        take_statement(batch, &r, &batch->items[i]);
    clerk_take_error(&r, &error.err, &error.at);
    if (batch->no_memory)
        return err_set(e, E_NOMEM, "out of memory");
    /* Whatever was not planned has an error. */
    if (rd_end(&r) != OK || (count < written || count == 0) != (error.err.code != OK))
        return err_set(e, E_BAD_STATE, "%s", code_text(E_BAD_STATE));
    batch->written = written;
    batch->count = count;
    batch->error = error;
    return OK;
}
