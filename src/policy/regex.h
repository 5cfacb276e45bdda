/**
 * Regular expressions in PostgreSQL's dialect, over bytes, in its C collation.
 *
 * The engine is Tcl's, of the same family as PostgreSQL's. Bytes above 0x7f stand for characters of a private
 * range, so that no class and no (?i) takes them for letters; classes are ASCII's. Compiled forms belong to a
 * thread: a set is shared, each thread compiles what it meets and forgets the sets it no longer sees.
 * [src: PostgreSQL 18, "POSIX Regular Expressions"; design §11]
 */
#ifndef PGSEAL_POLICY_REGEX_H
#define PGSEAL_POLICY_REGEX_H

#include "base/err.h"

struct arena;

/** Expressions of one policy; immutable once built. */
struct regex_set;

/** One set; lives in `arena`. NULL when memory ran out. */
struct regex_set *regex_set_new(struct arena *arena);

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
bool regex_set_looks_behind(const struct regex_set *set, unsigned number);

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

/** Free what the calling thread has compiled; threads that end do so by themselves. */
void regex_thread_fini(void);

#endif
