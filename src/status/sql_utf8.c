/* UTF-8 as of RFC 3629: shortest forms only, no surrogates, nothing above U+10FFFF. [src: pg_utf8_islegal] */
#include "status/sql_utf8.h"

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

enum code sql_utf8_check(struct str text, struct err *e)
{
    const unsigned char *p = (const unsigned char *)text.p;

    for (size_t left = text.n; left > 0;) {
        size_t n = size_of(*p);
        if (n == 0)
            return invalid(p, 1, e);
        if (n > left || !legal(p, n))
            return invalid(p, n > left ? left : n, e);
        p += n;
        left -= n;
    }
    return OK;
}
