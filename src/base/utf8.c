/* One character at a time. */
#include "base/utf8.h"

size_t utf8_size_of(unsigned char c)
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

size_t utf8_front(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = utf8_size_of(*p);

    return n <= text.n && n > 0 && legal(p, n) ? n : 0;
}

uint32_t utf8_code(struct str text)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = utf8_size_of(*p);
    uint32_t code = n == 1 ? *p : *p & (0xFFu >> (n + 1));

    for (size_t i = 1; i < n; i++)
        code = code << 6 | (p[i] & 0x3Fu);
    return code;
}
