/* Growable bytes; doubling, up to the limit. */
#include "base/buf.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUF_FIRST = 128, DIGITS_MAX = 32 };

void buf_init(struct buf *b, size_t limit)
{
    *b = BUF_INIT(limit);
}

void buf_fini(struct buf *b)
{
    if (!b)
        return;
    free(b->p);
    *b = BUF_INIT(b->limit);
}

void buf_auto(struct buf *b)
{
    buf_fini(b);
}

void buf_fini_secret(struct buf *b)
{
    if (b && b->p)
        OPENSSL_cleanse(b->p, b->size);
    buf_fini(b);
}

void buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

bool buf_reserve(struct buf *b, size_t more)
{
    size_t need;

    if (b->failed)
        return false;
    if (!size_add(b->n, more, &need) || need > b->limit) {
        b->failed = true;
        return false;
    }
    if (need < b->size) /* one spare byte for buf_c() */
        return true;
    size_t size = b->size ? b->size : BUF_FIRST;
    while (size <= need)
        size = size > SIZE_MAX / 2 ? need + 1 : size * 2;
    uint8_t *p = malloc(size); /* realloc() would leave a copy behind, and it may be a secret's */
    if (!p) {
        b->failed = true;
        return false;
    }
    if (b->n > 0)
        memcpy(p, b->p, b->n);
    if (b->p)
        OPENSSL_cleanse(b->p, b->size);
    free(b->p);
    b->p = p;
    b->size = size;
    return true;
}

bool buf_append(struct buf *b, struct bytes data)
{
    if (!buf_reserve(b, data.n))
        return false;
    if (data.n > 0)
        memcpy(b->p + b->n, data.p, data.n);
    b->n += data.n;
    return true;
}

bool buf_append_buf(struct buf *b, const struct buf *more)
{
    b->failed |= more->failed;
    return buf_append(b, bytes_of(more->p, more->n));
}

bool buf_append_str(struct buf *b, struct str s)
{
    return buf_append(b, str_bytes(s));
}

bool buf_append_c(struct buf *b, const char *c)
{
    return buf_append_str(b, str_c(c));
}

bool buf_append_byte(struct buf *b, uint8_t byte)
{
    return buf_append(b, bytes_of(&byte, 1));
}

bool buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0 || !buf_reserve(b, (size_t)n))
        return false;
    (void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, args);
    b->n += (size_t)n;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    bool ok = buf_vprintf(b, fmt, args);
    va_end(args);
    return ok;
}

bool buf_append_int(struct buf *b, int64_t n)
{
    uint64_t size = n < 0 ? -(uint64_t)n : (uint64_t)n;

    return (n >= 0 || buf_append_byte(b, '-')) && buf_append_digits(b, size, 1);
}

bool buf_append_digits(struct buf *b, uint64_t n, unsigned width)
{
    uint8_t digits[DIGITS_MAX];
    size_t at = sizeof digits;

    for (unsigned i = 0; n > 0 || i < width; i++) {
        CHECK(at > 0);
        digits[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    }
    return buf_append(b, bytes_of(digits + at, sizeof digits - at));
}

void buf_consume(struct buf *b, size_t n)
{
    CHECK(n <= b->n);
    b->n -= n;
    if (n > 0 && b->n > 0)
        memmove(b->p, b->p + n, b->n);
}

const char *buf_c(struct buf *b)
{
    if (b->failed || !buf_reserve(b, 0))
        return "";
    b->p[b->n] = '\0';
    return (const char *)b->p;
}
