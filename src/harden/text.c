#include "harden/text.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"

enum { CONTEXT = 3 };

static bool lf_at_end(struct str line)
{
    return line.n > 0 && line.p[line.n - 1] == '\n';
}

static struct str without_end(struct str line)
{
    if (lf_at_end(line))
        line.n--;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool make_room(struct harden_text *text)
{
    struct harden_line *lines = arena_grow(text->arena, text->lines, text->n, &text->size, sizeof *lines);

    if (!lines) {
        text->nomem = true;
        return false;
    }
    text->lines = lines;
    return true;
}

enum code harden_text_init(struct harden_text *text, struct str path, struct str content, struct arena *arena)
{
    *text = (struct harden_text){ .path = path, .arena = arena };
    while (content.n > 0) {
        size_t end = str_find(content, '\n');
        struct str line = str_first(content, end < content.n ? end + 1 : end);
        if (!make_room(text))
            return E_NOMEM;
        text->lines[text->n++] = (struct harden_line){ .before = line, .after = line };
        content = str_from(content, line.n);
    }
    return OK;
}

/* Where line `number` of the edited file is; text->n: beyond the last. */
static size_t place_of(const struct harden_text *text, unsigned number)
{
    unsigned at = 0;

    for (size_t i = 0; i < text->n; i++)
        if (text->lines[i].after.p && ++at == number)
            return i;
    return text->n;
}

struct str harden_text_line(const struct harden_text *text, unsigned number)
{
    size_t i = place_of(text, number);

    return i < text->n ? without_end(text->lines[i].after) : (struct str){ NULL, 0 };
}

unsigned harden_text_count(const struct harden_text *text)
{
    unsigned n = 0;

    for (size_t i = 0; i < text->n; i++)
        n += text->lines[i].after.p != NULL;
    return n;
}

/* ---- edits ---- */

/* "\r\n" where the file's first line ends so. */
static const char *end_of_lines(const struct harden_text *text)
{
    struct str first = text->n > 0 ? text->lines[0].before : STR("");

    if (!first.p && text->n > 0)
        first = text->lines[0].after;
    return first.n > 1 && lf_at_end(first) && first.p[first.n - 2] == '\r' ? "\r\n" : "\n";
}

static struct str with_end(struct harden_text *text, struct str line, const char *end)
{
    struct str out = STR("");

    if (!arena_printf(text->arena, &out, "%.*s%s", STR_ARG(line), end))
        text->nomem = true;
    return out;
}

/* A reason more for a line that changes anyway. */
static struct str both(struct harden_text *text, struct str old, struct str more)
{
    struct str out = old;

    if (old.n == 0)
        return more;
    if (!arena_printf(text->arena, &out, "%.*s\n%.*s", STR_ARG(old), STR_ARG(more)))
        text->nomem = true;
    return out;
}

void harden_text_replace(struct harden_text *text, unsigned number, struct str line, struct str why)
{
    size_t i = place_of(text, number);

    CHECK(i < text->n);
    struct harden_line *l = &text->lines[i];
    struct str body = without_end(l->after);
    struct str end = str_from(l->after, body.n);
    struct str after = STR("");
    if (!arena_printf(text->arena, &after, "%.*s%.*s", STR_ARG(line), STR_ARG(end)))
        text->nomem = true;
    if (str_equal(after, l->after))
        return;
    l->after = after;
    l->why = both(text, l->why, why);
    text->changed = true;
}

void harden_text_insert(struct harden_text *text, unsigned number, struct str line, struct str why)
{
    size_t i = place_of(text, number);
    const char *end = end_of_lines(text);

    if (!make_room(text))
        return;
    for (size_t last = i; last > 0; last--) { /* a last line without an end gets one */
        struct harden_line *l = &text->lines[last - 1];
        if (!l->after.p)
            continue;
        if (!lf_at_end(l->after)) {
            l->after = with_end(text, l->after, end);
            l->why = both(text, l->why, why);
        }
        break;
    }
    memmove(&text->lines[i + 1], &text->lines[i], (text->n - i) * sizeof *text->lines);
    text->lines[i] = (struct harden_line){ .after = with_end(text, line, end), .why = why };
    text->n++;
    text->changed = true;
}

void harden_text_remove(struct harden_text *text, unsigned number, struct str why)
{
    size_t i = place_of(text, number);

    CHECK(i < text->n);
    text->lines[i].after = (struct str){ NULL, 0 };
    text->lines[i].why = both(text, text->lines[i].why, why);
    text->changed = true;
}

/* ---- the file ---- */

void harden_text_after(const struct harden_text *text, struct buf *out)
{
    for (size_t i = 0; i < text->n; i++)
        if (text->lines[i].after.p)
            buf_append_str(out, text->lines[i].after);
}

void harden_text_before(const struct harden_text *text, struct buf *out)
{
    for (size_t i = 0; i < text->n; i++)
        if (text->lines[i].before.p)
            buf_append_str(out, text->lines[i].before);
}

/* ---- the diff ---- */

static bool differs(const struct harden_line *line)
{
    return !line->before.p || !line->after.p || !str_equal(line->before, line->after);
}

static void put_line(struct buf *out, char sign, struct str line)
{
    buf_append_byte(out, (uint8_t)sign);
    buf_append_str(out, line);
    if (!lf_at_end(line))
        buf_append_c(out, "\n\\ No newline at end of file\n");
}

/* What changes together: first all that goes, then all that comes. */
static size_t put_change(const struct harden_text *text, size_t i, size_t end, struct buf *out)
{
    size_t stop = i;

    while (stop < end && differs(&text->lines[stop]))
        stop++;
    for (size_t k = i; k < stop; k++)
        if (text->lines[k].before.p)
            put_line(out, '-', text->lines[k].before);
    for (size_t k = i; k < stop; k++)
        if (text->lines[k].after.p)
            put_line(out, '+', text->lines[k].after);
    return stop;
}

/* Was it said before, by an earlier line or by this one? */
static bool was_said(const struct harden_line *lines, size_t line, struct str why)
{
    struct str rest, one;

    for (size_t i = 0; i <= line; i++) {
        rest = lines[i].why;
        while (str_split(&rest, '\n', &one) && (i < line || one.p != why.p))
            if (str_equal(one, why))
                return true;
    }
    return false;
}

void harden_text_reasons(const struct harden_line *lines, size_t n, struct buf *out)
{
    size_t begin = out->n;
    struct str rest, one;

    for (size_t i = 0; i < n; i++) {
        rest = lines[i].why;
        while (str_split(&rest, '\n', &one))
            if (one.n > 0 && !was_said(lines, i, one))
                buf_printf(out, "%s%.*s", out->n > begin ? "; " : "", STR_ARG(one));
    }
}

static void put_range(struct buf *out, char sign, size_t first, size_t count)
{
    buf_printf(out, "%c%zu", sign, count > 0 ? first : first - 1);
    if (count != 1)
        buf_printf(out, ",%zu", count);
}

struct range {
    size_t from, to; /* of text->lines */
};

/* The next hunk from `at` on. False: there is none. */
static bool next_hunk(const struct harden_text *text, size_t at, struct range *out)
{
    size_t i = at, last, quiet = 0;

    while (i < text->n && !differs(&text->lines[i]))
        i++;
    if (i == text->n)
        return false;
    out->from = i - at > CONTEXT ? i - CONTEXT : at;
    for (last = i; i < text->n && quiet <= 2 * CONTEXT; i++) {
        quiet = differs(&text->lines[i]) ? 0 : quiet + 1;
        last = quiet ? last : i;
    }
    out->to = last + 1 + CONTEXT < text->n ? last + 1 + CONTEXT : text->n;
    return true;
}

static void put_hunk(const struct harden_text *text, struct range hunk, struct buf *out)
{
    size_t old_first = 1, new_first = 1, n_old = 0, n_new = 0;

    for (size_t i = 0; i < hunk.to; i++) {
        bool inside = i >= hunk.from, was = text->lines[i].before.p, is = text->lines[i].after.p;
        old_first += !inside && was;
        new_first += !inside && is;
        n_old += inside && was;
        n_new += inside && is;
    }
    buf_append_c(out, "@@ ");
    put_range(out, '-', old_first, n_old);
    buf_append_byte(out, ' ');
    put_range(out, '+', new_first, n_new);
    buf_append_c(out, " @@ ");
    harden_text_reasons(&text->lines[hunk.from], hunk.to - hunk.from, out);
    buf_append_byte(out, '\n');
    for (size_t i = hunk.from; i < hunk.to;) {
        if (differs(&text->lines[i])) {
            i = put_change(text, i, hunk.to, out);
            continue;
        }
        put_line(out, ' ', text->lines[i].before);
        i++;
    }
}

void harden_text_diff(const struct harden_text *text, struct buf *out)
{
    struct range hunk;
    bool any = false;

    for (size_t at = 0; next_hunk(text, at, &hunk); at = hunk.to) {
        if (!any)
            buf_printf(out, "--- %.*s\n+++ %.*s\n", STR_ARG(text->is_new ? STR("/dev/null") : text->path),
                       STR_ARG(text->path));
        any = true;
        put_hunk(text, hunk, out);
    }
}
