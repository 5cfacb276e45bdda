/* A view is: its number, then either an error or a count and so many rows of cells. */
#include "status/clerk_rows.h"

#include "base/check.h"
#include "status/clerk_wire.h"
#include "status/views.h"

enum { LAST_VIEW = UINT8_MAX, ROWS_MAX = 1 << 26 };

/* ---- who sees what ---- */

/* pg_stat_activity of another owner's session: who it is, not what it does. */
static void mask_activity(struct row_pg_stat_activity *row)
{
    struct row_pg_stat_activity shown = {
        .datid = row->datid,
        .datname = row->datname,
        .pid = row->pid,
        .usesysid = row->usesysid,
        .usename = row->usename,
        .application_name = row->application_name,
        .backend_xid = row->backend_xid,
        .backend_xmin = row->backend_xmin,
        .query = cell_c("<insufficient privilege>"),
    };

    *row = shown;
}

/* Of a setting that is not shown its name is told, so that SHOW can say why. */
static void mask_setting(struct row_pg_settings *row, bool restricted)
{
    const struct row_pg_settings name_only = { .name = row->name };

    row->sourcefile.kind = CELL_NULL;
    row->sourceline.kind = CELL_NULL;
    if (restricted)
        *row = name_only;
}

/* Apply the view's rule to a row. False: it is not there for this reader. */
static bool apply_rights(const struct console_params *reader, const struct view_def *view,
                         struct row_rights *rights, union view_row *row)
{
    bool own = rights->owner.n > 0 && str_equal(rights->owner, reader->user);

    if ((reader->is_admin || reader->can_see_all) && view->access != ACCESS_ADMIN) {
        rights->restricted = false;
        return true;
    }
    switch (view->access) {
    case ACCESS_ALL:
    case ACCESS_BUILTIN:
        return true;
    case ACCESS_OWN:
        return own;
    case ACCESS_MASK:
        if (!own)
            mask_activity(&row->pg_stat_activity);
        return true;
    case ACCESS_PRIVILEGED: /* refused when the query was typed */
        return false;
    case ACCESS_ADMIN: /* likewise */
        return reader->is_admin;
    case ACCESS_SETTINGS:
        mask_setting(&row->pg_settings, rights->restricted);
        return true;
    }
    UNREACHABLE();
}

/* ---- to the clerk ---- */

static void put_cell(struct wr *w, const struct cell *cell)
{
    wr_u8(w, (uint8_t)cell->kind);
    switch (cell->kind) {
    case CELL_NULL:
        return;
    case CELL_INT:
        clerk_put_i64(w, cell->i);
        return;
    case CELL_TEXT:
        clerk_put_str(w, cell->text);
        return;
    case CELL_TEXTS:
        wr_u32(w, (uint32_t)cell->texts.count);
        for (size_t i = 0; i < cell->texts.count; i++)
            clerk_put_str(w, cell->texts.items[i]);
        return;
    }
    UNREACHABLE();
}

/* False: the reader does not see it. */
static bool put_row(struct wr *w, const struct console_params *reader, struct row_source *source,
                    const struct view_def *view, size_t index)
{
    struct row_rights rights = { 0 };
    union view_row row;

    memset(&row, 0, sizeof row);
    source->fill(source->ctx, view->id, index, &row, &rights);
    if (!apply_rights(reader, view, &rights, &row))
        return false;
    wr_u8(w, rights.restricted);
    for (size_t i = 0; i < view->column_count; i++)
        put_cell(w, &row.cells[i]);
    return true;
}

static void put_view(struct wr *w, const struct console_params *reader, struct row_source *source,
                     const struct view_def *view)
{
    struct err why = { 0 };
    size_t count = 0;
    uint32_t sent = 0;

    enum code code = source->count(source->ctx, view->id, &count, &why);
    wr_u8(w, (uint8_t)view->id);
    wr_u8(w, code != OK);
    if (code != OK) {
        why.code = code;
        clerk_put_error(w, &why, 0);
        return;
    }
    size_t count_at = w->b->n;
    wr_u32(w, 0);
    for (size_t i = 0; i < count && buf_ok(w->b); i++)
        sent += put_row(w, reader, source, view, i);
    clerk_patch_u32(w->b, count_at, sent);
}

void clerk_put_rows(struct wr *w, const struct console_params *reader, struct row_source *source,
                    uint64_t views)
{
    for (size_t i = 0; i < VIEW_COUNT && source != NULL; i++)
        if ((views & VIEW_BIT(i)) && view_def((enum view)i)->access != ACCESS_BUILTIN)
            put_view(w, reader, source, view_def((enum view)i));
    wr_u8(w, LAST_VIEW);
}

/* ---- in the clerk ---- */

struct view_rows {
    size_t count;
    struct cell *cells; /* of all rows, one after the other */
    bool *restricted;
    const struct err *why; /* not NULL: there are none, because of this */
};

struct clerk_rows {
    struct view_rows views[VIEW_COUNT];
};

static void take_texts(struct rd *r, struct arena *arena, struct cell *out)
{
    size_t count = rd_u32(r);
    struct str *items = count <= r->left.n / 4 ? arena_array(arena, count, sizeof *items) : NULL;

    if (items == NULL) {
        r->bad = true;
        return;
    }
    for (size_t i = 0; i < count && !r->bad; i++)
        items[i] = clerk_take_str(r, CLERK_REQUEST_MAX);
    *out = cell_texts(items, count);
}

static void take_cell(struct rd *r, struct arena *arena, struct cell *out)
{
    out->kind = (enum cell_kind)clerk_take_enum(r, CELL_TEXTS + 1);
    switch (out->kind) {
    case CELL_NULL:
        return;
    case CELL_INT:
        out->i = clerk_take_i64(r);
        return;
    case CELL_TEXT:
        out->text = clerk_take_str(r, CLERK_REQUEST_MAX);
        return;
    case CELL_TEXTS:
        take_texts(r, arena, out);
        return;
    }
    UNREACHABLE();
}

static void take_view(struct rd *r, struct arena *arena, const struct view_def *def, struct view_rows *out)
{
    uint32_t at;

    if (clerk_take_bool(r)) {
        struct err *why = ARENA_NEW(arena, struct err);
        if (why == NULL)
            r->bad = true;
        else
            clerk_take_error(r, why, &at);
        out->why = why;
        return;
    }
    size_t count = rd_u32(r), cells;
    if (r->bad || count > ROWS_MAX || count > r->left.n || !size_mul(count, def->column_count, &cells)) {
        r->bad = true;
        return;
    }
    out->cells = arena_array(arena, cells, sizeof *out->cells);
    out->restricted = arena_array(arena, count, sizeof *out->restricted);
    if (out->cells == NULL || out->restricted == NULL) {
        r->bad = true;
        return;
    }
    for (size_t row = 0; row < count && !r->bad; row++) {
        out->restricted[row] = clerk_take_bool(r);
        for (size_t i = 0; i < def->column_count; i++)
            take_cell(r, arena, &out->cells[row * def->column_count + i]);
    }
    out->count = r->bad ? 0 : count;
}

struct clerk_rows *clerk_take_rows(struct rd *r, struct arena *arena)
{
    struct clerk_rows *rows = ARENA_NEW(arena, struct clerk_rows);

    if (rows == NULL)
        return NULL;
    while (!r->bad) {
        unsigned view = rd_u8(r);
        if (r->bad || view == LAST_VIEW)
            return rows;
        if (view >= VIEW_COUNT)
            r->bad = true;
        else
            take_view(r, arena, view_def((enum view)view), &rows->views[view]);
    }
    return rows;
}

static enum code count_rows(void *ctx, enum view view, size_t *out, struct err *e)
{
    const struct view_rows *rows = &((struct clerk_rows *)ctx)->views[view];

    if (rows->why != NULL) {
        *e = *rows->why;
        return e->code;
    }
    *out = rows->count;
    return OK;
}

static void fill_row(void *ctx, enum view view, size_t index, union view_row *out, struct row_rights *rights)
{
    const struct view_rows *rows = &((struct clerk_rows *)ctx)->views[view];
    size_t columns = view_def(view)->column_count;

    memcpy(out->cells, &rows->cells[index * columns], columns * sizeof out->cells[0]);
    rights->restricted = rows->restricted[index];
}

struct row_source clerk_rows_source(struct clerk_rows *rows)
{
    return (struct row_source){ .ctx = rows, .count = count_rows, .fill = fill_row };
}
