/* Rows of views as JSON and as tables. */
#include "cmd/view_out.h"

#include "base/buf.h"
#include "base/check.h"
#include "status/views.h"

#include <inttypes.h>

enum { CELL_TEXT_MAX = 64 * 1024 * 1024 };

/* ---- JSON ---- */

void json_text(FILE *out, struct str text)
{
    (void)fputc('"', out);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\')
            (void)fprintf(out, "\\%c", c);
        else if (c < 0x20)
            (void)fprintf(out, "\\u%04x", c);
        else
            (void)fputc(c, out);
    }
    (void)fputc('"', out);
}

static void json_cell(FILE *out, const struct column_def *column, const struct cell *cell)
{
    switch (cell->kind) {
    case CELL_NULL:
        (void)fputs("null", out);
        return;
    case CELL_INT:
        if (column->type == PG_BOOL)
            (void)fputs(cell->i ? "true" : "false", out);
        else
            (void)fprintf(out, "%" PRId64, cell->i);
        return;
    case CELL_TEXT:
        json_text(out, cell->text);
        return;
    case CELL_TEXTS:
        (void)fputc('[', out);
        for (size_t i = 0; i < cell->texts.count; i++) {
            if (i > 0)
                (void)fputs(", ", out);
            json_text(out, cell->texts.items[i]);
        }
        (void)fputc(']', out);
        return;
    }
    UNREACHABLE();
}

void view_out_json(FILE *out, enum view view, const union view_row *rows, size_t n)
{
    const struct view_def *def = view_def(view);

    (void)fputc('[', out);
    for (size_t i = 0; i < n; i++) {
        (void)fputs(i ? ",\n {" : "\n {", out);
        for (size_t c = 0; c < def->column_count; c++) {
            (void)fprintf(out, "%s\"%s\": ", c ? ", " : "", def->columns[c].name);
            json_cell(out, &def->columns[c], &rows[i].cells[c]);
        }
        (void)fputc('}', out);
    }
    (void)fputs(n ? "\n]\n" : "]\n", out);
}

/* ---- tables ---- */

static void append_visible(struct buf *b, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\n')
            (void)buf_append_c(b, "; ");
        else if (c < 0x20 || c == 0x7F)
            (void)buf_printf(b, "\\x%02x", c);
        else
            (void)buf_append_byte(b, c);
    }
}

static void table_cell(struct buf *b, const struct column_def *column, const struct cell *cell)
{
    buf_reset(b);
    switch (cell->kind) {
    case CELL_NULL:
        return;
    case CELL_INT:
        if (column->type == PG_BOOL)
            (void)buf_append_c(b, cell->i ? "t" : "f");
        else
            (void)buf_printf(b, "%" PRId64, cell->i);
        return;
    case CELL_TEXT:
        append_visible(b, cell->text);
        return;
    case CELL_TEXTS:
        for (size_t i = 0; i < cell->texts.count; i++) {
            if (i > 0)
                (void)buf_append_byte(b, ',');
            append_visible(b, cell->texts.items[i]);
        }
        return;
    }
    UNREACHABLE();
}

/** Characters, taking the bytes as UTF-8: those that continue one do not count. */
static size_t width_of(struct str text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xC0) != 0x80;
    return n;
}

static void pad(FILE *out, size_t n)
{
    for (; n > 0; n--)
        (void)fputc(' ', out);
}

void view_out_table(const struct cmd *cmd, enum view view, const union view_row *rows, size_t n)
{
    FILE *out = cmd->out;
    const struct view_def *def = view_def(view);
    AUTO(buf) struct buf text = BUF_INIT(CELL_TEXT_MAX);
    size_t width[VIEW_COLUMNS_MAX] = { 0 };

    for (size_t c = 0; c < def->column_count; c++) {
        width[c] = strlen(def->columns[c].name);
        for (size_t i = 0; i < n; i++) {
            table_cell(&text, &def->columns[c], &rows[i].cells[c]);
            size_t w = width_of(buf_str(&text));
            width[c] = w > width[c] ? w : width[c];
        }
        (void)fprintf(out, "%s%s", c ? "  " : "", def->columns[c].name);
        if (c + 1 < def->column_count)
            pad(out, width[c] - strlen(def->columns[c].name));
    }
    (void)fputc('\n', out);
    for (size_t i = 0; i < n; i++) {
        size_t owed = 0; /* blanks, printed only if something follows */
        for (size_t c = 0; c < def->column_count; c++) {
            table_cell(&text, &def->columns[c], &rows[i].cells[c]);
            struct str s = buf_str(&text);
            if (s.n > 0) {
                pad(out, owed);
                bool tinted = str_is(str_c(def->columns[c].name), "error");
                (void)fprintf(out, "%s%.*s%s", tinted ? cmd_tint(cmd, TINT_BAD) : "", STR_ARG(s),
                              tinted ? cmd_tint_end(cmd) : "");
                owed = 0;
            }
            owed += width[c] - width_of(s) + 2;
        }
        (void)fputc('\n', out);
    }
}
