/**
 * Tokens of postgresql.conf's syntax, for conf_lex.c and its tests.
 *
 * Of all patterns that fit, the longest wins, and among equals the first of the enumeration
 * [src: PostgreSQL 18, guc-file.l].
 */
#ifndef PGSEAL_LEX_CONF_TOKEN_H
#define PGSEAL_LEX_CONF_TOKEN_H

#include "base/slice.h"

enum conf_token_kind {
    CONF_TOKEN_ID,        /* letter, then letters and digits; bytes above 127 are letters */
    CONF_TOKEN_QUALIFIED, /* ID.ID, and ID."any text" beyond PostgreSQL */
    CONF_TOKEN_STRING,    /* in single quotes */
    CONF_TOKEN_WORD,      /* an ID that also holds - . _ : / */
    CONF_TOKEN_INTEGER,   /* decimal or hexadecimal, a unit's letters may follow */
    CONF_TOKEN_REAL,
    CONF_TOKEN_EQUALS,
    CONF_TOKEN_ERROR, /* one byte that begins none of these */
    CONF_TOKEN_EOL,
    CONF_TOKEN_EOF,
};

struct conf_token {
    enum conf_token_kind kind;
    struct str text; /* a view into the input; with its quotes */
};

/** A position in a text. Begin with { text, 1 }. */
struct conf_scan {
    struct str left;
    unsigned line; /* of the next byte */
};

/** The next token; CONF_TOKEN_EOF again and again at the end. Blanks and comments are skipped. */
struct conf_token conf_token_next(struct conf_scan *scan);

#endif
