#include "regex/regex_chars.h"

uint16_t regex_take(struct str *s, enum regex_encoding encoding, uint32_t *out_code)
{
    uint8_t lead = (uint8_t)s->p[0];
    size_t n = lead < 0xC2 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 1;
    uint32_t code = n == 1 ? lead : lead & (0xFFu >> (n + 1));

    bool whole = encoding == REGEX_UTF8 && n <= s->n;
    for (size_t i = 1; whole && i < n; i++) {
        whole = ((uint8_t)s->p[i] & 0xC0) == 0x80;
        code = code << 6 | ((uint8_t)s->p[i] & 0x3Fu);
    }
    if (!whole) {
        n = 1;
        code = lead;
    }
    *s = str_from(*s, n);
    *out_code = code;
    return regex_code(code);
}
