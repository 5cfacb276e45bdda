/**
 * Sticky-error reader of big-endian wire data.
 *
 * After the first failed read every further one returns zero and changes nothing; one rd_end() per
 * message then makes "forgot to check" and "ignored trailing bytes" impossible.
 */
#ifndef PGSEAL_BASE_RD_H
#define PGSEAL_BASE_RD_H

#include "base/err.h"

struct rd {
    struct bytes left;
    bool bad;
};

static inline struct rd rd_over(struct bytes data)
{
    return (struct rd){ data, false };
}

uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
int32_t rd_i32(struct rd *r);
/** Exactly n bytes. */
struct bytes rd_bytes(struct rd *r, size_t n);
/** A NUL-terminated string; the NUL is consumed, not returned. */
struct str rd_cstr(struct rd *r);
/** All that is left, if its size is within [min, max]. */
struct bytes rd_rest(struct rd *r, size_t min, size_t max);
/** OK when nothing failed and nothing is left, else E_PROTOCOL. */
MUST_CHECK enum code rd_end(const struct rd *r);

#endif
