/* Big-endian writer over a buf. */
#include "base/wr.h"

static void put_u32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

struct wr wr_begin(struct buf *b, char type)
{
    static const uint8_t no_length[4];

    if (type)
        buf_append_byte(b, (uint8_t)type);
    struct wr w = { b, b->n };
    wr_bytes(&w, bytes_of(no_length, sizeof no_length));
    return w;
}

void wr_u8(struct wr *w, uint8_t v)
{
    buf_append_byte(w->b, v);
}

void wr_u16(struct wr *w, uint16_t v)
{
    wr_u8(w, (uint8_t)(v >> 8));
    wr_u8(w, (uint8_t)v);
}

void wr_u32(struct wr *w, uint32_t v)
{
    uint8_t word[4];

    put_u32(word, v);
    wr_bytes(w, bytes_of(word, sizeof word));
}

void wr_bytes(struct wr *w, struct bytes data)
{
    buf_append(w->b, data);
}

void wr_cstr(struct wr *w, struct str s)
{
    wr_bytes(w, str_bytes(s));
    wr_u8(w, 0);
}

void wr_end(struct wr *w)
{
    if (buf_ok(w->b))
        put_u32(w->b->p + w->length_at, (uint32_t)(w->b->n - w->length_at));
}
