/**
 * Checks for our own mistakes, never for input, and sums of sizes that cannot wrap.
 */
#ifndef PGSEAL_BASE_CHECK_H
#define PGSEAL_BASE_CHECK_H

#include <stdbool.h>
#include <stddef.h>

/** Print place and text, abort. */
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))
#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

/** False when the sum wraps; *out is then unchanged. */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/** Run a destructor when a variable leaves scope: `AUTO(buf) struct buf b = …`. */
#define AUTO(type) __attribute__((cleanup(type##_auto)))
/** Hand ownership of a pointer out and disarm its AUTO. */
#define TAKE(p)                                                                                              \
    ({                                                                                                       \
        __typeof__(p) take_p_ = (p);                                                                         \
        (p) = NULL;                                                                                          \
        take_p_;                                                                                             \
    })

#endif
