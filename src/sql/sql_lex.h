/**
 * PostgreSQL's SQL text into tokens, with positions kept for errors.
 *
 * [src: PostgreSQL 18, "Lexical Structure"]
 */
#ifndef PGSEAL_SQL_SQL_LEX_H
#define PGSEAL_SQL_SQL_LEX_H

#include "base/err.h"

struct arena;

enum {
    SQL_TEXT_MAX = 64 * 1024, /* longest text of statements, in bytes: what takes a worker a few ms at most */
    SQL_TOKENS_MAX = 16384
};

/** An error and where in the text it is. */
struct sql_error {
    struct err err;
    uint32_t at; /* byte offset from 1; 0: nowhere */
};

/** Fill `e` and return `code`. `at` is a byte offset from 0. */
enum code sql_fail(struct sql_error *e, enum code code, uint32_t at, const char *fmt, ...) PRINTF_LIKE(4, 5);

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,    /* unquoted: folded to lower case */
    TOKEN_QUOTED,  /* "identifier" */
    TOKEN_STRING,  /* decoded */
    TOKEN_INTEGER, /* digits */
    TOKEN_DECIMAL, /* digits with point or exponent */
    TOKEN_PARAM,   /* $n: text is n */
    TOKEN_OPERATOR,
    TOKEN_PUNCT /* ( ) [ ] , ; : . :: */
};

struct token {
    enum token_kind kind;
    uint32_t at; /* byte offset of `raw` */
    struct str text;
    struct str raw; /* as written */
};

struct token_list {
    struct token *items; /* the last one is TOKEN_END */
    size_t count;
};

/**
 * arena  receives the tokens and all texts that had to be decoded; `sql` is borrowed by the others.
 *
 * E_SYNTAX, E_COMPLEX (too long), E_UNSUPPORTED (bit strings, U&), E_NOMEM.
 */
MUST_CHECK enum code sql_lex(struct arena *arena, struct str sql, struct token_list *out,
                             struct sql_error *e);

#endif
