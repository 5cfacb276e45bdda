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

/** The character that stands for a byte: ASCII as it is, the others in a private range without properties. */
static inline uint16_t regex_char(uint8_t byte)
{
    return byte < 0x80 ? byte : (uint16_t)(0xE000 + byte);
}

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
MUST_CHECK enum code regex_translate(struct arena *arena, struct str pattern, struct regex_text *out,
                                     bool *out_lookbehind, struct err *e);

/** Is the byte in the class? [src: PostgreSQL 18, regc_pg_locale.c for the C collation] */
typedef bool regex_class_fn(unsigned c);

#endif
