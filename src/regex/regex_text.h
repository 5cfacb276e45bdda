/**
 * Texts for Tcl's regular-expression engine. Not for other rooms.
 */
#ifndef PGSEAL_REGEX_REGEX_TEXT_H
#define PGSEAL_REGEX_REGEX_TEXT_H

#include "base/err.h"
#include "regex/regex_chars.h"

struct arena;

/** A text in Tcl's 16-bit characters. */
struct regex_text {
    const uint16_t *p;
    size_t n;
};

/** Longest expression, in bytes: the engine recurses over its parts. */
enum { REGEX_PATTERN_MAX = 16 * 1024 };

struct regex_source {
    struct str pattern;
    enum regex_encoding encoding;
    /**
     * Let the expression begin with any one character, so that what follows it can be searched for with that
     * character in sight: Tcl's engine forgets what precedes where it begins. Not possible in the
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
