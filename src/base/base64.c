/* Base64, in PostgreSQL's reading. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool base64_encode(struct bytes data, struct buf *out)
{
    for (size_t i = 0; i < data.n; i += 3) {
        size_t have = data.n - i < 3 ? data.n - i : 3;
        uint32_t triple = (uint32_t)data.p[i] << 16;

        if (have > 1)
            triple |= (uint32_t)data.p[i + 1] << 8;
        if (have > 2)
            triple |= data.p[i + 2];
        const char quad[4] = { alphabet[triple >> 18 & 63], alphabet[triple >> 12 & 63],
                               have > 1 ? alphabet[triple >> 6 & 63] : '=',
                               have > 2 ? alphabet[triple & 63] : '=' };
        if (!buf_append_str(out, str_of(quad, sizeof quad)))
            return false;
    }
    return buf_ok(out);
}

static int sextet_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool base64_decode(struct str text, uint8_t *out, size_t size, size_t *out_n)
{
    uint32_t quad = 0;
    size_t sextets = 0, n = 0;
    size_t bytes_per_quad =
        3; /* fewer from the first pad on, which PostgreSQL does not insist to be the last */

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        int sextet = c == '=' ? 0 : sextet_of(c);

        if (sextet < 0 || (c == '=' && bytes_per_quad == 3 && sextets < 2))
            return false;
        if (c == '=' && bytes_per_quad == 3)
            bytes_per_quad = sextets - 1;
        quad = quad << 6 | (uint32_t)sextet;
        if (++sextets < 4)
            continue;
        if (size - n < bytes_per_quad)
            return false;
        for (size_t k = 0; k < bytes_per_quad; k++)
            out[n++] = (uint8_t)(quad >> (16 - 8 * k));
        sextets = 0;
        quad = 0;
    }
    if (sextets != 0)
        return false;
    *out_n = n;
    return true;
}
