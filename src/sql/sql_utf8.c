/* UTF-8 as of RFC 3629: shortest forms only, no surrogates, nothing above U+10FFFF. [src: pg_utf8_islegal] */
#include "sql/sql_utf8.h"

#include "base/buf.h"
#include "base/check.h"

/* Bytes of the character that begins with `c`; 0: none does. */
static size_t size_of(unsigned char c)
{
    return c == 0 ? 0 : c < 0x80 ? 1 : c < 0xC2 ? 0 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : c < 0xF5 ? 4 : 0;
}

static bool legal(const unsigned char *p, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return false;
    if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F)))
        return false;
    return !(n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F)));
}

static enum code invalid(const unsigned char *p, size_t n, struct err *e)
{
    AUTO(buf) struct buf bytes = BUF_INIT(64);

    for (size_t i = 0; i < n; i++)
        buf_printf(&bytes, "%s0x%02x", i > 0 ? " " : "", p[i]);
    return err_set(e, E_ENCODING, "invalid byte sequence for encoding \"UTF8\": %s", buf_c(&bytes));
}

/* Bytes of the valid character in front; 0: there is none. */
static size_t valid_size(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = size_of(*p);

    return n <= text.n && n > 0 && legal(p, n) ? n : 0;
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
        size_t n = valid_size(text);
        if (n == 0) {
            const unsigned char *p = (const unsigned char *)text.p;
            n = size_of(*p) ? size_of(*p) : 1;
            return invalid(p, n > text.n ? text.n : n, e);
        }
        text = str_from(text, n);
    }
}

void sql_utf8_clean(struct buf *out, struct str text)
{
    while (text.n > 0) {
        size_t n = valid_size(text);
        if (n == 0)
            buf_printf(out, "\\x%02x", (unsigned char)text.p[0]);
        else
            buf_append_str(out, str_first(text, n));
        text = str_from(text, n ? n : 1);
    }
}
