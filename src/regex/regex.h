/**
 * Regular expressions in PostgreSQL's dialect, over bytes, in its C collation.
 *
 * The engine is Tcl's, of the same family as PostgreSQL's. Bytes above 0x7f stand for characters of a private
 * range, so that no class and no (?i) takes them for letters; classes are ASCII's. Compiled forms belong to a
 * thread: a set is shared, each thread compiles what it meets and forgets the sets it no longer sees.
 * [src: PostgreSQL 18, "POSIX Regular Expressions"]
 */
#ifndef PGSEAL_REGEX_REGEX_H
#define PGSEAL_REGEX_REGEX_H

#include "base/err.h"
#include "regex/regex_chars.h"

struct arena;

/** Expressions of one policy; immutable once built. */
struct regex_set;

/** One set; lives in `arena`. NULL when memory ran out. */
struct regex_set *regex_set_new(struct arena *arena);

/** The same over the characters of an encoding; regex_set_new() is for bytes. */
struct regex_set *regex_set_new_in(struct arena *arena, enum regex_encoding encoding);

/**
 * Check an expression (without PostgreSQL's leading slash) and add it.
 *
 * captures  \1 will be asked for.
 * out       its number.
 *
 * E_REGEX: `e->message` is the reason in PostgreSQL's words, e.g. "parentheses () not balanced". E_NOMEM.
 */
MUST_CHECK enum code regex_set_add(struct regex_set *set, struct str pattern, bool captures, unsigned *out,
                                   struct err *e);

/** True when it has (?<=…) or (?<!…): the syntax is checked, but regex_search() cannot apply it. */
bool regex_set_has_lookbehind(const struct regex_set *set, unsigned number);

struct regex_match {
    bool matched;
    bool group_set;   /* the first parenthesis took part */
    struct str group; /* its text, within the subject */
};

/**
 * Search the subject. OK also when nothing matched, see out->matched.
 * E_REGEX: the engine gave up; `e->message` is the reason. E_NOMEM. Thread-safe.
 */
MUST_CHECK enum code regex_search(const struct regex_set *set, unsigned number, struct str subject,
                                  struct regex_match *out, struct err *e);

/** One text of UTF-8, in which one thread searches several times. */
struct regex_subject;

/** Copies `text` (no NUL in it). Returned to caller: regex_subject_free(). NULL when memory ran out. */
struct regex_subject *regex_subject_new(struct str text);
void regex_subject_free(struct regex_subject *subject);
/** How many characters it has. */
size_t regex_subject_length(const struct regex_subject *subject);
/** Where a character begins, in bytes; at the length: where the text ends. */
size_t regex_subject_byte(const struct regex_subject *subject, size_t character);

enum { REGEX_GROUPS = 10 };

struct regex_found {
    bool matched;
    struct {
        bool set;           /* it took part */
        size_t start, end;  /* in characters */
    } groups[REGEX_GROUPS]; /* the first is the match itself */
};

/**
 * Search from a character on. Groups are told if captures were asked for. What precedes it is seen by ^, \m and their like. The set is one of
 * REGEX_UTF8. Errors as regex_search().
 */
MUST_CHECK enum code regex_find(const struct regex_set *set, unsigned number,
                                const struct regex_subject *subject, size_t from, struct regex_found *out,
                                struct err *e);

/** Free what the calling thread has compiled; threads that end do so by themselves. */
void regex_thread_fini(void);

#endif
