/**
 * The parser's place in its tokens, for the rules. Everyone else includes sql_parse.h.
 *
 * Failure sticks: after the first error every look at the input sees its end, and nodes are empty but
 * never NULL. So the rules read like the grammar; the error is asked for once, at the end.
 */
#ifndef PGSEAL_SQL_SQL_CURSOR_H
#define PGSEAL_SQL_SQL_CURSOR_H

#include "sql/sql_ast.h"
#include "sql/sql_parse.h"

enum { SQL_DEPTH_MAX = 40 }; /* nested expressions and subqueries: SQLite's own stack ends at 100 symbols */

struct parser;

/**
 * Rules that are needed below themselves in the grammar: a subquery in an expression, an expression in
 * parentheses. The files of the grammar include each other downward only, and come back up by these.
 */
struct sql_rules {
    struct expr *(*expr)(struct parser *p);
    /** Without the boolean and comparison operators: bounds of BETWEEN. */
    struct expr *(*operand)(struct parser *p);
    struct select *(*select)(struct parser *p);
};

struct parser {
    const struct sql_rules *rules;
    struct arena *arena;
    struct str sql;
    struct token_list tokens;
    size_t i;
    unsigned depth;
    bool failed;
    struct sql_error *e;
};

const struct token *sql_peek(const struct parser *p, size_t ahead);
void sql_next(struct parser *p);
/** The next word is this keyword (lower case). */
bool sql_is_word(const struct parser *p, size_t ahead, const char *word);
bool sql_is_punct(const struct parser *p, size_t ahead, const char *punct);
bool sql_is_operator(const struct parser *p, size_t ahead, const char *op);
/** Step over it if it is there. */
bool sql_take_word(struct parser *p, const char *word);
bool sql_take_punct(struct parser *p, const char *punct);
bool sql_take_operator(struct parser *p, const char *op);
/** Step over it or fail. */
void sql_want_word(struct parser *p, const char *word);
void sql_want_punct(struct parser *p, const char *punct);
/** An identifier: quoted, or a word that is not reserved. Empty on failure. */
struct str sql_want_name(struct parser *p);
/** An identifier where any word may stand, as after AS. */
struct str sql_want_label(struct parser *p);
/** True when the token can be an alias without AS. */
bool sql_is_alias(const struct parser *p, size_t ahead);

/** syntax error at or near the next token. */
void sql_syntax(struct parser *p);
/** 0A000 at `at`. */
void sql_unsupported(struct parser *p, uint32_t at, const char *what);
void *sql_alloc(struct parser *p, size_t n);
#define SQL_NEW(p, type_) ((type_ *)sql_alloc((p), sizeof(type_)))
/** Count the nesting; false (and failed) when it is too deep. Leave with sql_leave(). */
bool sql_enter(struct parser *p);
void sql_leave(struct parser *p);
/** ( a, b, … ) with the parenthesis already taken. */
struct name_list sql_names(struct parser *p);

bool sql_at_select(const struct parser *p, size_t ahead);

/** Word `index` of those that cannot be names, sorted; NULL after the last one. */
const char *sql_reserved_word(size_t index);

#endif
