#include "cmd/html.h"

#include "base/utf8.h"

#include <inttypes.h>

/* [src: Unicode 15, "Bidirectional Character Types"] and what separates lines */
static bool turns(uint32_t c)
{
    return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F ||
           c == 0x061C || c == 0x2028 || c == 0x2029;
}

static void put_ascii(struct buf *out, unsigned char c)
{
    switch (c) {
    case '&':
        buf_append_c(out, "&amp;");
        return;
    case '<':
        buf_append_c(out, "&lt;");
        return;
    case '>':
        buf_append_c(out, "&gt;");
        return;
    case '"':
        buf_append_c(out, "&quot;");
        return;
    case '\'':
        buf_append_c(out, "&#39;");
        return;
    default:
        break;
    }
    if (c < 0x20 || c == 0x7F)
        buf_printf(out, "\\x%02x", c);
    else
        buf_append_byte(out, c);
}

void html_cut(struct buf *out, struct str text, size_t most)
{
    for (; text.n > 0; most--) {
        size_t n = utf8_front(text);
        if (most == 0) {
            buf_append_c(out, "…");
            return;
        }
        if (n <= 1 && (unsigned char)text.p[0] < 0x80)
            put_ascii(out, (unsigned char)text.p[0]);
        else if (n == 0 || utf8_code(text) < 0xA0)
            buf_printf(out, "\\x%02x", (unsigned char)text.p[0]);
        else if (turns(utf8_code(text)))
            buf_printf(out, "\\u{%04" PRIX32 "}", utf8_code(text));
        else
            buf_append_str(out, str_first(text, n));
        text = str_from(text, n > 1 && utf8_code(text) >= 0xA0 ? n : 1);
    }
}

void html_text(struct buf *out, struct str text)
{
    html_cut(out, text, SIZE_MAX);
}
