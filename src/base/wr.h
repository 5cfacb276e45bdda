/**
 * Writer of big-endian wire data into a buf; lengths are filled in by wr_end().
 *
 * Errors stick in the buf: ask buf_ok() once, after the last message.
 */
#ifndef PGSEAL_BASE_WR_H
#define PGSEAL_BASE_WR_H

#include "base/buf.h"

struct wr {
    struct buf *b;
    size_t length_at; /* where the open message's length word stands */
};

/**
 * Begin a message: type byte, then a length word to be filled in. A type of 0 writes none (StartupMessage).
 */
struct wr wr_begin(struct buf *b, char type);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_bytes(struct wr *w, struct bytes data);
/** Text and its NUL. A NUL inside `s` would end it early for the reader: callers pass texts without. */
void wr_cstr(struct wr *w, struct str s);
/** Fill in the length of the open message (it counts itself, not the type byte). */
void wr_end(struct wr *w);

#endif
