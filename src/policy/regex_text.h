/**
 * Texts for Tcl's regular-expression engine. Not for other rooms.
 */
#ifndef PGSEAL_POLICY_REGEX_TEXT_H
#define PGSEAL_POLICY_REGEX_TEXT_H

#include "base/err.h"

struct arena;

/** A text in Tcl's 16-bit characters. */
struct regex_text {
    const uint16_t *p;
    size_t n;
};

/** Longest expression, in bytes: the engine recurses over its parts. */
enum { REGEX_PATTERN_MAX = 16 * 1024 };
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

struct regex_source {
    struct str pattern;
    enum regex_encoding encoding;
    /**
     * Let the expression begin with any one character, so that what follows it can be searched for with that
     * character in sight: Tcl's engine forgets what stands in front of where it begins. Not possible in the
     * older dialects, which stay as they are.
     */
    bool behind;
};

/**
 * Rewrite a pattern so that Tcl's engine takes it as PostgreSQL's would in the C collation. Lives in `arena`.
 * What PostgreSQL would refuse stays something that the engine refuses, at the same place and with the same
 * words.
 *
 * out_lookbehind  set when the pattern looks behind, which Tcl's engine cannot; it then looks ahead, good for
 *                 checking the syntax only.
 *
 * E_REGEX: longer than REGEX_PATTERN_MAX. E_NOMEM.
 */
MUST_CHECK enum code regex_translate(struct arena *arena, const struct regex_source *source,
                                     struct regex_text *out, bool *out_lookbehind, struct err *e);

/** Is the byte in the class? [src: PostgreSQL 18, regc_pg_locale.c for the C collation] */
typedef bool regex_class_fn(unsigned c);

#endif
