/* COPY … TO STDOUT, text and csv. [src: PostgreSQL 18, "COPY", "File Formats"] */
#include "clerk/copy.h"

#include "base/check.h"
#include "base/wr.h"
#include "clerk/clerk_impl.h"
#include "status/views.h"

enum { COPY_VALUE_MAX = 4 << 20 };

static char delimiter(const struct copy_options *options)
{
    if (options->delimiter != '\0')
        return options->delimiter;
    return options->format == COPY_CSV ? ',' : '\t';
}

static void put_text(struct buf *out, const struct copy_options *options, struct str s)
{
    static const char escaped[] = "\bb\ff\nn\rr\tt\vv";

    for (size_t i = 0; i < s.n; i++) {
        const char *at = s.p[i] != '\0' ? strchr("\b\f\n\r\t\v", s.p[i]) : NULL;
        if (at != NULL) {
            for (size_t k = 0; k + 1 < sizeof escaped; k += 2) {
                if (escaped[k] == s.p[i]) {
                    buf_append_byte(out, '\\');
                    buf_append_byte(out, (uint8_t)escaped[k + 1]);
                }
            }
            continue;
        }
        if (s.p[i] == '\\' || s.p[i] == delimiter(options))
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)s.p[i]);
    }
}

static void put_csv(struct buf *out, const struct copy_options *options, struct str s, bool alone)
{
    bool quote = str_equal(s, options->null_set ? options->null_text : STR("")) ||
                 (alone && str_is(s, "\\."));

    for (size_t i = 0; i < s.n; i++)
        quote = quote || s.p[i] == '"' || s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == delimiter(options);
    if (quote)
        buf_append_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            buf_append_byte(out, '"');
        buf_append_byte(out, (uint8_t)s.p[i]);
    }
    if (quote)
        buf_append_byte(out, '"');
}

static void put_value(struct buf *out, const struct copy_options *options, struct str s, bool alone)
{
    if (options->format == COPY_CSV)
        put_csv(out, options, s, alone);
    else
        put_text(out, options, s);
}

void copy_header(struct buf *out, const struct clerk_columns *columns, const struct copy_options *options)
{
    AUTO(buf) struct buf line = BUF_INIT(COPY_VALUE_MAX);
    struct wr w;

    for (size_t i = 0; i < columns->count; i++) {
        if (i > 0)
            buf_append_byte(&line, (uint8_t)delimiter(options));
        put_value(&line, options, columns->names[i], columns->count == 1);
    }
    buf_append_byte(&line, '\n');
    w = wr_begin(out, 'd');
    wr_bytes(&w, buf_bytes(&line));
    wr_end(&w);
}

void copy_row(struct buf *out, const struct copy_options *options, struct db_stmt *stmt,
              const struct clerk_columns *columns)
{
    AUTO(buf) struct buf value = BUF_INIT(COPY_VALUE_MAX);
    struct wr w = wr_begin(out, 'd');

    for (size_t i = 0; i < columns->count; i++) {
        struct datum d = db_column(stmt, (unsigned)i, columns->types[i]);
        if (i > 0)
            buf_append_byte(out, (uint8_t)delimiter(options));
        if (d.kind == DATUM_NULL) {
            buf_append_str(out, options->null_set             ? options->null_text
                                : options->format == COPY_CSV ? STR("")
                                                              : STR("\\N"));
            continue;
        }
        buf_reset(&value);
        pg_text_write(&value, columns->types[i], &d, &view_names);
        if (!buf_ok(&value))
            out->failed = true;
        put_value(out, options, buf_str(&value), columns->count == 1);
    }
    buf_append_byte(out, '\n');
    wr_end(&w);
}
