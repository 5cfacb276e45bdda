/* Sticky-error reader. */
#include "base/rd.h"

struct bytes rd_bytes(struct rd *r, size_t n)
{
    static const uint8_t nothing[1];

    if (r->bad || r->left.n < n) {
        r->bad = true;
        return bytes_of(nothing, 0);
    }
    struct bytes taken = bytes_of(r->left.p, n);
    r->left = bytes_from(r->left, n);
    return taken;
}

uint8_t rd_u8(struct rd *r)
{
    struct bytes b = rd_bytes(r, 1);

    return b.n == 1 ? b.p[0] : 0;
}

uint16_t rd_u16(struct rd *r)
{
    struct bytes b = rd_bytes(r, 2);

    return b.n == 2 ? (uint16_t)(b.p[0] << 8 | b.p[1]) : 0;
}

uint32_t rd_u32(struct rd *r)
{
    struct bytes b = rd_bytes(r, 4);

    return b.n == 4 ? (uint32_t)b.p[0] << 24 | (uint32_t)b.p[1] << 16 | (uint32_t)b.p[2] << 8 | b.p[3] : 0;
}

int32_t rd_i32(struct rd *r)
{
    return (int32_t)rd_u32(r);
}

struct str rd_cstr(struct rd *r)
{
    struct str rest = str_from_bytes(r->left);
    size_t n = str_find(rest, '\0');

    if (r->bad || n == rest.n) {
        r->bad = true;
        return STR("");
    }
    (void)rd_bytes(r, n + 1);
    return str_first(rest, n);
}

struct bytes rd_rest(struct rd *r, size_t min, size_t max)
{
    if (r->left.n < min || r->left.n > max)
        r->bad = true;
    return rd_bytes(r, r->bad ? 0 : r->left.n);
}

enum code rd_end(const struct rd *r)
{
    return r->bad || r->left.n > 0 ? E_PROTOCOL : OK;
}
