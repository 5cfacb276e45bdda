/* Array texts. [src: PostgreSQL 18, "Array Input and Output Syntax"; array_out] */
#include "pgtypes/pgarray.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

static bool needs_quotes(struct str s)
{
    if (s.n == 0 || str_equal_nocase(s, STR("null")))
        return true;
    for (size_t i = 0; i < s.n; i++)
        if (char_is_blank(s.p[i]) || strchr("{},\"\\", s.p[i]) != NULL)
            return true;
    return false;
}

static void write_item(struct buf *out, struct str s)
{
    if (!needs_quotes(s)) {
        buf_append_str(out, s);
        return;
    }
    buf_append_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)s.p[i]);
    }
    buf_append_byte(out, '"');
}

void pgarray_write(struct buf *out, const struct str *items, const bool *nulls, size_t count)
{
    buf_append_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_append_byte(out, ',');
        if (nulls != NULL && nulls[i])
            buf_append_c(out, "NULL");
        else
            write_item(out, items[i]);
    }
    buf_append_byte(out, '}');
}

/* An element up to its comma or brace. Quoted text keeps its blanks; a bare NULL is one. */
static bool take_item(struct str *s, struct buf *text, bool *out_null)
{
    bool quoted = false, in_quotes = false;
    size_t keep = 0; /* length without trailing bare blanks */

    buf_reset(text);
    while (s->n > 0 && char_is_blank(s->p[0]))
        *s = str_from(*s, 1);
    while (s->n > 0 && (in_quotes || (s->p[0] != ',' && s->p[0] != '}'))) {
        char c = s->p[0];
        bool escaped = c == '\\' && s->n > 1;
        *s = str_from(*s, 1);
        if (c == '"') {
            quoted = true;
            in_quotes = !in_quotes;
            keep = text->n;
            continue;
        }
        if (c == '{' && !in_quotes)
            return false;
        if (escaped) {
            c = s->p[0];
            *s = str_from(*s, 1);
        }
        buf_append_byte(text, (uint8_t)c);
        if (in_quotes || escaped || !char_is_blank(c))
            keep = text->n;
    }
    if (in_quotes || s->n == 0 || (!quoted && keep == 0) || !buf_ok(text))
        return false;
    text->n = keep;
    *out_null = !quoted && str_equal_nocase(buf_str(text), STR("null"));
    return true;
}

static enum code add_item(struct arena *arena, struct pgarray *array, struct str text, bool is_null)
{
    size_t n = array->count;

    if ((n & (n + 1)) == 0) { /* room for 2ⁿ-1: grow at 0, 1, 3, 7, … */
        struct str *items = arena_array(arena, 2 * n + 1, sizeof *items);
        bool *nulls = arena_array(arena, 2 * n + 1, sizeof *nulls);
        if (items == NULL || nulls == NULL)
            return E_NOMEM;
        if (n > 0) {
            memcpy(items, array->items, n * sizeof *items);
            memcpy(nulls, array->nulls, n * sizeof *nulls);
        }
        array->items = items;
        array->nulls = nulls;
    }
    if (!arena_str(arena, text, &array->items[n]))
        return E_NOMEM;
    array->nulls[n] = is_null;
    array->count++;
    return OK;
}

enum code pgarray_read(struct arena *arena, struct str in, struct pgarray *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(in.n + 1);
    struct str s = str_trim(in);
    struct pgarray array = { 0 };
    bool is_null, more = true;

    if (str_starts(s, STR("[")) || str_starts(s, STR("{{")))
        return err_set(e, E_UNSUPPORTED, "arrays of more than one dimension are not supported");
    if (!str_starts(s, STR("{")))
        return err_set(e, E_TEXT_REP, "malformed array literal: \"%.*s\"", STR_ARG(in));
    s = str_trim(str_from(s, 1));
    if (str_is(s, "}"))
        more = false;
    while (more) {
        if (!take_item(&s, &text, &is_null))
            return err_set(e, E_TEXT_REP, "malformed array literal: \"%.*s\"", STR_ARG(in));
        if (array.count == PGARRAY_ITEMS_MAX)
            return err_set(e, E_LIMIT, "array size exceeds the maximum allowed (%d)", PGARRAY_ITEMS_MAX);
        if (add_item(arena, &array, buf_str(&text), is_null) != OK)
            return err_set(e, E_NOMEM, "out of memory");
        more = s.p[0] == ',';
        if (more)
            s = str_from(s, 1);
    }
    if (!str_is(str_trim(s), "}"))
        return err_set(e, E_TEXT_REP, "malformed array literal: \"%.*s\"", STR_ARG(in));
    *out = array;
    return OK;
}
