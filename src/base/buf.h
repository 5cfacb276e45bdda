/**
 * Growable bytes with a limit fixed at creation, and an error that sticks.
 *
 * Appends after a failure change nothing; ask buf_ok() once, at the end.
 */
#ifndef PGSEAL_BASE_BUF_H
#define PGSEAL_BASE_BUF_H

#include "base/slice.h"

#include <stdarg.h>

struct buf {
    uint8_t *p;
    size_t n;     /* bytes in use */
    size_t size;  /* bytes allocated */
    size_t limit; /* n never exceeds this */
    bool failed;  /* limit reached or memory ran out */
};

/** Nothing is allocated before the first append. `limit` has a name at the caller's. */
void buf_init(struct buf *b, size_t limit);
/** For AUTO and initialisers. */
#define BUF_INIT(limit_) ((struct buf){ .limit = (limit_) })
void buf_fini(struct buf *b);
void buf_auto(struct buf *b);
/** Wipe before freeing: for buffers that held secrets. */
void buf_fini_secret(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory, clears `failed` */
static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

bool buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after n */
bool buf_append(struct buf *b, struct bytes data);
/** What was lost on the way to `more` is lost here too: `b` has failed then. */
bool buf_append_buf(struct buf *b, const struct buf *more);
bool buf_append_str(struct buf *b, struct str s);
bool buf_append_c(struct buf *b, const char *c);
bool buf_append_byte(struct buf *b, uint8_t byte);
bool buf_append_int(struct buf *b,
                    int64_t n); /* decimal; as printf would, for what is written by the million */
bool buf_append_digits(struct buf *b, uint64_t n, unsigned width); /* with zeros in front, up to 32 */
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vprintf(struct buf *b, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
/** Drop `n` bytes at the front. */
void buf_consume(struct buf *b, size_t n);
/** A NUL after the bytes (not counted in n), so that p is a C string; "" on failure. */
const char *buf_c(struct buf *b);
static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->p, b->n);
}
static inline struct str buf_str(const struct buf *b)
{
    return str_of(b->p ? (const char *)b->p : "", b->n);
}

#endif
