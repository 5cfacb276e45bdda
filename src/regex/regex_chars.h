/**
 * Characters of texts and what stands for them in Tcl's engine, which has 16 bits for one.
 */
#ifndef PGSEAL_REGEX_REGEX_CHARS_H
#define PGSEAL_REGEX_REGEX_CHARS_H

#include "base/slice.h"

/** Code points below have private characters of their own. */
enum { REGEX_PRIVATE_MAX = 0x18F0 };

/** The character that stands for a byte: ASCII as it is, the others in a private range without properties. */
static inline uint16_t regex_char(uint8_t byte)
{
    return byte < 0x80 ? byte : (uint16_t)(0xE000 + byte);
}

/** What the characters of a text are. */
enum regex_encoding {
    REGEX_BYTES, /* rule files have no encoding */
    REGEX_UTF8,
};

/**
 * The character that stands for a code point. The engine's have 16 bits: most scripts go to the private range
 * as bytes do, the rest of the basic plane stands for itself, what is beyond it shares 2,048 characters.
 */
static inline uint16_t regex_code(uint32_t code)
{
    if (code < 0x80)
        return (uint16_t)code;
    if (code < REGEX_PRIVATE_MAX)
        return (uint16_t)(0xE000 + code);
    return code <= 0xFFFF ? (uint16_t)code : (uint16_t)(0xD800 + code % 0x800);
}

/** Take one character off the front; a byte that is no UTF-8 is one of its own. `*s` is not empty. */
uint16_t regex_take(struct str *s, enum regex_encoding encoding, uint32_t *out_code);

#endif
