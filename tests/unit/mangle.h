/**
 * One input in the shapes that break parsers: whole, cut at every length, with every bit flipped in its turn.
 */
#ifndef PGSEAL_TESTS_MANGLE_H
#define PGSEAL_TESTS_MANGLE_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef void mangle_fn(void *arg, struct bytes input);

/* Exactly as many bytes as there are, on the heap, so that a sanitizer sees a read beyond them. */
static inline bool mangle_one(struct bytes input, size_t flipped, mangle_fn *feed, void *arg)
{
    uint8_t *exact = malloc(input.n ? input.n : 1);

    if (!exact)
        return false;
    if (input.n > 0)
        memcpy(exact, input.p, input.n);
    if (flipped / 8 < input.n)
        exact[flipped / 8] ^= (uint8_t)(1U << flipped % 8);
    feed(arg, bytes_of(exact, input.n));
    free(exact);
    return true;
}

/** feed() is called with each shape of `input`; the bytes are gone when it returns. False: out of memory. */
static inline bool mangle(struct bytes input, mangle_fn *feed, void *arg)
{
    for (size_t n = 0; n <= input.n; n++) /* the last is the whole */
        if (!mangle_one(bytes_of(input.p, n), SIZE_MAX, feed, arg))
            return false;
    for (size_t bit = 0; bit < input.n * 8; bit++)
        if (!mangle_one(input, bit, feed, arg))
            return false;
    return true;
}

#endif
