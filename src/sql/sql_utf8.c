/* Whole texts, with PostgreSQL's words. */
#include "sql/sql_utf8.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/utf8.h"

static enum code sql_utf8_invalid(const unsigned char *p, size_t n, struct err *e)
{
    AUTO(buf) struct buf bytes = BUF_INIT(64);

    for (size_t i = 0; i < n; i++)
        buf_printf(&bytes, "%s0x%02x", i > 0 ? " " : "", p[i]);
    return err_set(e, E_ENCODING, "invalid byte sequence for encoding \"UTF8\": %s", buf_c(&bytes));
}

/* How many bytes in front are ASCII without NUL: nearly all of what there is. */
static size_t plain_size(struct str text)
{
    size_t n = 0;

    while (n < text.n && (unsigned char)(text.p[n] - 1) < 0x7F)
        n++;
    return n;
}

enum code sql_utf8_check(struct str text, struct err *e)
{
    for (;;) {
        text = str_from(text, plain_size(text));
        if (text.n == 0)
            return OK;
        size_t n = utf8_front(text);
        if (n == 0) {
            const unsigned char *p = (const unsigned char *)text.p;
            n = utf8_size_of(*p) ? utf8_size_of(*p) : 1;
            return sql_utf8_invalid(p, n > text.n ? text.n : n, e);
        }
        text = str_from(text, n);
    }
}

void sql_utf8_clean(struct buf *out, struct str text)
{
    while (text.n > 0) {
        size_t n = utf8_front(text);
        if (n == 0)
            buf_printf(out, "\\x%02x", (unsigned char)text.p[0]);
        else
            buf_append_str(out, str_first(text, n));
        text = str_from(text, n ? n : 1);
    }
}
