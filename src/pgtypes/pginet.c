/* inet: reading, writing, order and containment. [src: PostgreSQL 18, "Network Address Functions"] */
#include "pgtypes/pginet.h"

#include "base/buf.h"

#include <arpa/inet.h>

bool pginet_read(struct str in, struct pginet *out)
{
    char text[INET6_ADDRSTRLEN];
    size_t slash = str_find(in, '/');
    struct pginet inet = { 0 };
    uint32_t prefix;

    if (!str_to_c(str_first(in, slash), text, sizeof text))
        return false;
    inet.v6 = str_find(in, ':') < in.n;
    if (inet_pton(inet.v6 ? AF_INET6 : AF_INET, text, inet.addr) != 1)
        return false;
    prefix = inet.v6 ? 128 : 32;
    if (slash < in.n && !str_to_u32(str_from(in, slash + 1), 0, prefix, &prefix))
        return false;
    inet.prefix = (uint8_t)prefix;
    *out = inet;
    return true;
}

void pginet_write(struct buf *out, const struct pginet *inet)
{
    char text[INET6_ADDRSTRLEN];

    if (inet_ntop(inet->v6 ? AF_INET6 : AF_INET, inet->addr, text, sizeof text) != NULL)
        buf_append_c(out, text);
    if (inet->prefix != (inet->v6 ? 128 : 32))
        buf_printf(out, "/%u", inet->prefix);
}

/* The first `bits` bits of both, as memcmp. */
static int compare_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    int order = memcmp(a, b, bits / 8);

    if (order != 0 || bits % 8 == 0)
        return order;
    unsigned mask = 0xffu << (8 - bits % 8);
    return (int)(a[bits / 8] & mask) - (int)(b[bits / 8] & mask);
}

int pginet_compare(const struct pginet *a, const struct pginet *b)
{
    int order;

    if (a->v6 != b->v6)
        return a->v6 ? 1 : -1;
    order = compare_bits(a->addr, b->addr, a->prefix < b->prefix ? a->prefix : b->prefix);
    if (order != 0)
        return order;
    if (a->prefix != b->prefix)
        return (int)a->prefix - (int)b->prefix;
    return memcmp(a->addr, b->addr, a->v6 ? 16 : 4);
}

bool pginet_within(const struct pginet *a, const struct pginet *b, bool proper)
{
    if (a->v6 != b->v6 || (proper ? a->prefix <= b->prefix : a->prefix < b->prefix))
        return false;
    return compare_bits(a->addr, b->addr, b->prefix) == 0;
}
