/* Pieces of frames, and the bodies made of them. */
#include "status/clerk_wire.h"

#include "base/check.h"

#include <endian.h>
#include <string.h>

enum code_count {
#define X(name, sqlstate, exit_status, text) NUMBER_OF_##name,
#include "errors.def"
#undef X
    ERROR_COUNT
};

/* ---- pieces ---- */

void clerk_put_i64(struct wr *w, int64_t v)
{
    wr_u32(w, (uint32_t)((uint64_t)v >> 32));
    wr_u32(w, (uint32_t)((uint64_t)v & UINT32_MAX));
}

int64_t clerk_take_i64(struct rd *r)
{
    uint64_t high = rd_u32(r);
    uint64_t low = rd_u32(r);

    return (int64_t)(high << 32 | low);
}

void clerk_put_str(struct wr *w, struct str s)
{
    wr_u32(w, (uint32_t)s.n);
    wr_bytes(w, bytes_of(s.p, s.n));
}

struct str clerk_take_str(struct rd *r, size_t max)
{
    uint32_t n = rd_u32(r);

    if (n > max)
        r->bad = true;
    return str_from_bytes(rd_bytes(r, n));
}

struct str clerk_take_text(struct rd *r, size_t max)
{
    struct str s = clerk_take_str(r, max);

    if (s.n > 0 && memchr(s.p, '\0', s.n) != NULL)
        r->bad = true;
    return r->bad ? STR("") : s;
}

bool clerk_take_bool(struct rd *r)
{
    return clerk_take_enum(r, 2) != 0;
}

unsigned clerk_take_enum(struct rd *r, unsigned count)
{
    unsigned v = rd_u8(r);

    if (v >= count)
        r->bad = true;
    return r->bad ? 0 : v;
}

void clerk_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    uint32_t word = htobe32(v);

    if (buf_ok(b))
        memcpy(b->p + at, &word, sizeof word);
}

void clerk_put_error(struct wr *w, const struct err *e, uint32_t at)
{
    wr_u16(w, (uint16_t)e->code);
    clerk_put_str(w, str_c(e->message));
    clerk_put_str(w, str_c(e->detail));
    clerk_put_str(w, str_c(e->hint));
    wr_u32(w, at);
}

static void take_into(struct rd *r, char *out, size_t size)
{
    if (!str_to_c(clerk_take_text(r, size - 1), out, size))
        r->bad = true;
}

void clerk_take_error(struct rd *r, struct err *out, uint32_t *out_at)
{
    unsigned code = rd_u16(r);

    *out = (struct err){ .code = OK };
    if (code > ERROR_COUNT)
        r->bad = true;
    take_into(r, out->message, sizeof out->message);
    take_into(r, out->detail, sizeof out->detail);
    take_into(r, out->hint, sizeof out->hint);
    *out_at = rd_u32(r);
    out->code = r->bad ? E_INTERNAL : (enum code)code;
}

void clerk_error_frame(struct buf *out, const struct err *e, uint32_t at)
{
    struct wr w = wr_begin(out, CLERK_ERROR);

    clerk_put_error(&w, e, at);
    wr_end(&w);
}

void clerk_put_datum(struct wr *w, const struct datum *value)
{
    int64_t bits;

    wr_u8(w, (uint8_t)value->kind);
    switch (value->kind) {
    case DATUM_NULL:
        return;
    case DATUM_INT:
        clerk_put_i64(w, value->i);
        return;
    case DATUM_REAL:
        memcpy(&bits, &value->real, sizeof bits);
        clerk_put_i64(w, bits);
        return;
    case DATUM_TEXT:
        clerk_put_str(w, value->text);
        return;
    }
    UNREACHABLE();
}

struct datum clerk_take_datum(struct rd *r)
{
    struct datum d = { .kind = (enum datum_kind)clerk_take_enum(r, DATUM_TEXT + 1) };
    int64_t bits;

    switch (d.kind) {
    case DATUM_NULL:
        return d;
    case DATUM_INT:
        d.i = clerk_take_i64(r);
        return d;
    case DATUM_REAL:
        bits = clerk_take_i64(r);
        memcpy(&d.real, &bits, sizeof d.real);
        return d;
    case DATUM_TEXT:
        d.text = clerk_take_str(r, CLERK_TEXT_MAX);
        return d;
    }
    UNREACHABLE();
}

/* ---- bodies ---- */

void clerk_put_budget(struct wr *w, const struct clerk_budget *budget)
{
    clerk_put_i64(w, budget->budget_us);
    clerk_put_i64(w, budget->timeout_ms);
}

struct clerk_budget clerk_take_budget(struct rd *r)
{
    struct clerk_budget budget;

    budget.budget_us = clerk_take_i64(r);
    budget.timeout_ms = clerk_take_i64(r);
    return budget;
}

void clerk_put_text(struct wr *w, const struct clerk_text *text)
{
    wr_u8(w, text->is_admin);
    wr_u8(w, text->can_see_all);
    clerk_put_i64(w, text->now_us);
    clerk_put_str(w, text->text);
    wr_u16(w, (uint16_t)text->param_count);
    for (size_t i = 0; i < text->param_count; i++)
        wr_u8(w, (uint8_t)text->params[i]);
}

void clerk_take_text_request(struct rd *r, struct arena *arena, struct clerk_text *out)
{
    *out = (struct clerk_text){ .is_admin = clerk_take_bool(r) };
    out->can_see_all = clerk_take_bool(r);
    out->now_us = clerk_take_i64(r);
    out->text = clerk_take_str(r, CLERK_TEXT_MAX);
    size_t count = rd_u16(r);
    enum pg_type *params = arena_array(arena, count, sizeof *params);
    if (count > CLERK_PARAMS_MAX || params == NULL)
        r->bad = true;
    for (size_t i = 0; i < count && !r->bad; i++)
        params[i] = (enum pg_type)clerk_take_enum(r, PG_TYPE_COUNT);
    out->params = params;
    out->param_count = r->bad ? 0 : count;
}

void clerk_put_fetch(struct wr *w, const struct clerk_fetch *fetch)
{
    clerk_put_i64(w, (int64_t)fetch->id);
    wr_u8(w, (uint8_t)fetch->form);
    clerk_put_i64(w, fetch->limit);
    wr_u16(w, fetch->formats != NULL ? (uint16_t)fetch->format_count : 0);
    for (size_t i = 0; fetch->formats != NULL && i < fetch->format_count; i++)
        wr_u8(w, (uint8_t)fetch->formats[i]);
}

void clerk_take_fetch(struct rd *r, struct arena *arena, struct clerk_fetch *out)
{
    *out = (struct clerk_fetch){ .id = (uint64_t)clerk_take_i64(r) };
    out->form = (enum row_form)clerk_take_enum(r, ROW_NONE + 1);
    out->limit = clerk_take_i64(r);
    out->format_count = rd_u16(r);
    enum pg_format *formats = arena_array(arena, out->format_count, sizeof *formats);
    if (formats == NULL || out->format_count > CLERK_COLUMNS_MAX) {
        r->bad = true;
        return;
    }
    for (size_t i = 0; i < out->format_count; i++)
        formats[i] = (enum pg_format)clerk_take_enum(r, PG_FORMAT_BINARY + 1);
    out->formats = out->format_count > 0 ? formats : NULL;
}

/* ---- what a client may be sent ---- */

static bool is_data_row(struct bytes body, size_t columns)
{
    struct rd r = rd_over(body);

    if (rd_u16(&r) != columns)
        return false;
    for (size_t i = 0; i < columns && !r.bad; i++) {
        int32_t n = rd_i32(&r);
        if (n < -1)
            return false;
        (void)rd_bytes(&r, n < 0 ? 0 : (size_t)n);
    }
    return rd_end(&r) == OK;
}

/* Fields, each a letter and a text. */
static bool is_notice(struct bytes body)
{
    struct rd r = rd_over(body);

    while (!r.bad && rd_u8(&r) != 0)
        (void)rd_cstr(&r);
    return rd_end(&r) == OK;
}

static bool take_message(struct rd *r, char *out_type, struct bytes *out_body)
{
    *out_type = (char)rd_u8(r);
    uint32_t length = rd_u32(r);

    if (length < 4)
        r->bad = true;
    *out_body = rd_bytes(r, length - 4);
    return !r->bad;
}

bool clerk_read_chunk(struct bytes body, const struct clerk_fetch *asked, size_t columns,
                      struct clerk_chunk *out)
{
    struct rd r = rd_over(body), messages;
    struct bytes message;
    int64_t rows = 0;
    bool header = false; /* COPY's line of names, which is no row */
    char type;

    *out = (struct clerk_chunk){ .end = clerk_take_bool(&r) };
    out->rows = clerk_take_i64(&r);
    out->messages = rd_rest(&r, 0, CLERK_MESSAGES_MAX);
    if (rd_end(&r) != OK || out->rows < 0 || out->rows > asked->limit)
        return false;
    messages = rd_over(out->messages);
    while (messages.left.n > 0) {
        if (!take_message(&messages, &type, &message))
            return false;
        if (type == 'D' && asked->form == ROW_DATA && is_data_row(message, columns))
            rows++;
        else if (type == 'd' && asked->form == ROW_COPY)
            rows++;
        else if (type != 'N' || !is_notice(message))
            return false;
    }
    header = asked->form == ROW_COPY && rows == out->rows + 1;
    return asked->form == ROW_NONE ? rows == 0 : rows == out->rows || header;
}

/* ---- actions ---- */

void clerk_act(const struct console_params *self, const struct clerk_action *action, struct clerk_acted *out)
{
    const struct console_actions *actions = &self->actions;

    *out = (struct clerk_acted){ .signal = SIGNAL_DENIED };
    if (action->kind == CLERK_ACT_RELOAD || action->kind == CLERK_ACT_RECHECK) {
        bool (*act)(void *ctx, struct err *note) = action->kind == CLERK_ACT_RELOAD ? actions->reload
                                                                                    : actions->recheck;
        if (self->is_admin && act != NULL)
            out->done = act(actions->ctx, &out->note);
        return;
    }
    const struct signal_request request = {
        .kind = action->kind == CLERK_ACT_TERMINATE ? SIGNAL_TERMINATE : SIGNAL_CANCEL,
        .pid = action->pid,
        .user = self->user,
        .is_admin = self->is_admin,
    };
    if (actions->signal != NULL)
        out->signal = actions->signal(actions->ctx, &request, &out->note);
}

void clerk_action_frame(struct buf *out, const struct clerk_action *action)
{
    struct wr w = wr_begin(out, CLERK_ACT);

    wr_u8(&w, (uint8_t)action->kind);
    wr_u32(&w, (uint32_t)action->pid);
    wr_end(&w);
}

bool clerk_read_action(struct bytes body, struct clerk_action *out)
{
    struct rd r = rd_over(body);

    out->kind = (enum clerk_action_kind)clerk_take_enum(&r, CLERK_ACT_COUNT);
    out->pid = rd_i32(&r);
    return rd_end(&r) == OK;
}

void clerk_acted_frame(struct buf *out, const struct clerk_acted *acted)
{
    struct wr w = wr_begin(out, CLERK_ACTED);

    wr_u8(&w, acted->done);
    wr_u8(&w, (uint8_t)acted->signal);
    clerk_put_error(&w, &acted->note, 0);
    wr_end(&w);
}

bool clerk_read_acted(struct bytes body, struct clerk_acted *out)
{
    struct rd r = rd_over(body);
    uint32_t at;

    out->done = clerk_take_bool(&r);
    out->signal = (enum signal_result)clerk_take_enum(&r, SIGNAL_AMBIGUOUS + 1);
    clerk_take_error(&r, &out->note, &at);
    return rd_end(&r) == OK;
}
