/* The journal's lines and the manifest of a change, to values and back. */
#include "harden/record.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/journal.h"

#include <stdlib.h>

enum { NUMBER_MAX = 999999999, ENTRIES_MAX = 1024, MODE_MAX = 07777 };

static const char *const names[] = {
#define X(step, word) [CHANGE_STEP_##step] = word,
    CHANGE_STEPS(X)
#undef X
};

const char *change_step_name(enum change_step step)
{
    return names[step];
}

static bool step_from_name(struct str name, enum change_step *out)
{
    size_t i = str_index_of(name, names, COUNT_OF(names));

    if (i == COUNT_OF(names))
        return false;
    *out = (enum change_step)i;
    return true;
}

/* ---- the journal ---- */

struct line {
    int64_t unix_s;
    enum change_step step;
    unsigned number;
    struct str words;
};

static bool read_line(struct str text, struct line *out)
{
    struct str step, number;
    uint32_t n;

    if (!os_journal_time(&text, &out->unix_s) || !str_split(&text, ' ', &step) ||
        !str_split(&text, ' ', &number))
        return false;
    if (!step_from_name(step, &out->step) || !str_to_u32(number, 1, NUMBER_MAX, &n))
        return false;
    out->number = n;
    out->words = text;
    return true;
}

/* "apply", "undo 3". */
static bool read_kind(struct str words, unsigned *out_undoes)
{
    struct str word;
    uint32_t n;

    if (str_is(words, "apply"))
        *out_undoes = 0;
    else if (str_split(&words, ' ', &word) && str_is(word, "undo") && str_to_u32(words, 1, NUMBER_MAX, &n))
        *out_undoes = n;
    else
        return false;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct change_row *left = a, *right = b;

    return (left->number > right->number) - (left->number < right->number);
}

/* NULL: a number that went by does not come again. */
static struct change_row *row_of(struct change_rows *rows, unsigned number)
{
    const struct change_row wanted = { .number = number };

    if (rows->n > 0 && rows->rows[rows->n - 1].number >= number)
        return bsearch(&wanted, rows->rows, rows->n, sizeof wanted, compare_numbers);
    rows->rows[rows->n] = wanted;
    return &rows->rows[rows->n++];
}

static void mark_undone(struct change_rows *rows, unsigned number)
{
    const struct change_row wanted = { .number = number };
    struct change_row *row = bsearch(&wanted, rows->rows, rows->n, sizeof wanted, compare_numbers);

    if (row)
        row->undone = true;
}

static void take_line(struct change_rows *rows, const struct line *line)
{
    struct change_row *row = row_of(rows, line->number);

    if (!row || change_row_ended(row))
        return;
    row->step = line->step;
    row->unix_s = line->unix_s;
    if (line->step < CHANGE_STEP_FAILED)
        row->farthest = line->step;
    if (line->step == CHANGE_STEP_BEGIN || line->step == CHANGE_STEP_DONE)
        (void)read_kind(line->words, &row->undoes);
    if (line->step == CHANGE_STEP_DONE && row->undoes)
        mark_undone(rows, row->undoes);
}

static size_t count_lines(struct str text)
{
    size_t n = 0;

    for (struct str line; os_journal_next(&text, &line);)
        n++;
    return n;
}

enum code change_rows_read(struct str text, struct arena *arena, struct change_rows *out, struct err *e)
{
    struct change_rows rows = { arena_array(arena, count_lines(text), sizeof *rows.rows), 0 };
    struct line line;

    if (!rows.rows)
        return err_set(e, E_NOMEM, "out of memory");
    for (struct str one; os_journal_next(&text, &one);)
        if (read_line(one, &line))
            take_line(&rows, &line);
    *out = rows;
    return OK;
}

bool change_row_ended(const struct change_row *row)
{
    return row->step == CHANGE_STEP_DONE || row->step == CHANGE_STEP_BACK;
}

const struct change_row *change_rows_applied(const struct change_rows *rows)
{
    for (size_t i = rows->n; i-- > 0;) {
        const struct change_row *row = &rows->rows[i];
        if (row->step == CHANGE_STEP_DONE && !row->undoes && !row->undone)
            return row;
    }
    return NULL;
}

/* ---- the manifest ---- */

static const struct str head = { "pgseal change 1", sizeof "pgseal change 1" - 1 };

/* Blanks part the fields, so a path has none. */
static void write_path(const char *path, struct buf *out)
{
    for (; *path; path++) {
        if ((unsigned char)*path <= ' ' || *path == '%' || *path == 0x7f)
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*path);
        else
            buf_append_byte(out, (uint8_t)*path);
    }
}

static void write_side(const struct change_side *side, struct buf *out)
{
    if (side->exists)
        buf_printf(out, " %04o:%u:%u", (unsigned)side->owned.mode, (unsigned)side->owned.uid,
                   (unsigned)side->owned.gid);
    else
        buf_append_c(out, " -");
}

void change_manifest_write(const struct change_manifest *manifest, struct buf *out)
{
    buf_printf(out, "%.*s\n", STR_ARG(head));
    if (manifest->undoes)
        buf_printf(out, "undo %u\n", manifest->undoes);
    else
        buf_append_c(out, "apply\n");
    for (size_t i = 0; i < manifest->n; i++) {
        const struct change_entry *entry = &manifest->entries[i];
        buf_append_c(out, entry->by_also ? "also" : "file");
        write_side(&entry->before, out);
        write_side(&entry->after, out);
        buf_append_byte(out, ' ');
        write_path(entry->place, out);
        buf_append_byte(out, ' ');
        write_path(entry->path, out);
        buf_append_byte(out, '\n');
    }
    buf_append_c(out, "end\n");
}

static bool hex_digit(char c, unsigned *out)
{
    if (c >= '0' && c <= '9')
        *out = (unsigned)(c - '0');
    else if (c >= 'A' && c <= 'F')
        *out = (unsigned)(c - 'A') + 10;
    else
        return false;
    return true;
}

/* NULL: no path. Memory running out looks the same, and is told apart by the caller's next allocation. */
static const char *read_path(struct str text, struct arena *arena)
{
    char path[OS_PATH_MAX];
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++) {
        unsigned high, low;
        char c = text.p[i];
        if (c == '%') {
            if (text.n - i < 3 || !hex_digit(text.p[i + 1], &high) || !hex_digit(text.p[i + 2], &low))
                return NULL;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0' || n + 1 >= sizeof path)
            return NULL;
        path[n++] = c;
    }
    return n > 0 && path[0] == '/' ? arena_c(arena, str_of(path, n)) : NULL;
}

static bool read_mode(struct str text, mode_t *out)
{
    mode_t mode = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '7' || mode > MODE_MAX)
            return false;
        mode = mode * 8 + (mode_t)(text.p[i] - '0');
    }
    *out = mode;
    return text.n > 0 && mode <= MODE_MAX;
}

static bool read_side(struct str text, struct change_side *out)
{
    struct str mode, uid;
    uint32_t user, group;

    *out = (struct change_side){ .exists = !str_is(text, "-") };
    if (!out->exists)
        return true;
    if (!str_split(&text, ':', &mode) || !str_split(&text, ':', &uid) || !read_mode(mode, &out->owned.mode))
        return false;
    if (!str_to_u32(uid, 0, UINT32_MAX - 1, &user) || !str_to_u32(text, 0, UINT32_MAX - 1, &group))
        return false;
    out->owned.uid = user;
    out->owned.gid = group;
    return true;
}

static bool read_entry(struct str line, struct arena *arena, struct change_entry *out)
{
    struct str kind, before, after, place;

    if (!str_split(&line, ' ', &kind) || !str_split(&line, ' ', &before) || !str_split(&line, ' ', &after) ||
        !str_split(&line, ' ', &place))
        return false;
    out->by_also = str_is(kind, "also");
    if ((!out->by_also && !str_is(kind, "file")) || !read_side(before, &out->before) ||
        !read_side(after, &out->after))
        return false;
    out->place = read_path(place, arena);
    out->path = read_path(line, arena);
    return out->place && out->path;
}

static enum code damaged(const char *file, unsigned line, struct err *e)
{
    (void)err_set(e, E_DAMAGED, "the record of a change cannot be read");
    err_where(e, str_c(file), line);
    return E_DAMAGED;
}

enum code change_manifest_read(struct str text, const char *file, struct arena *arena,
                               struct change_manifest *out, struct err *e)
{
    size_t lines = count_lines(text);
    struct change_manifest manifest = { .entries = NULL };
    unsigned number = 0;
    bool ended = false;

    if (lines > ENTRIES_MAX || !(manifest.entries = arena_array(arena, lines, sizeof *manifest.entries)))
        return lines > ENTRIES_MAX ? damaged(file, ENTRIES_MAX, e) : err_set(e, E_NOMEM, "out of memory");
    for (struct str line; os_journal_next(&text, &line);) {
        bool good = !ended;
        number++;
        if (number == 1)
            good = str_equal(line, head);
        else if (number == 2)
            good = read_kind(line, &manifest.undoes);
        else if (str_is(line, "end"))
            ended = true;
        else
            good = good && read_entry(line, arena, &manifest.entries[manifest.n++]);
        if (!good)
            return damaged(file, number, e);
    }
    if (!ended || text.n > 0 || number < 3)
        return damaged(file, number + 1, e);
    *out = manifest;
    return OK;
}
