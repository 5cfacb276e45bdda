/**
 * A bounded hash table of rows in order of age: what was noted longest ago is forgotten first.
 *
 * Rows have one size and begin with their key, a struct whose bytes are all set (texts padded with zeros):
 * keys are equal when their bytes are. Rows are low or high: low ones go first, and never drive out high
 * ones.
 */
#ifndef PGSEAL_BASE_LRU_H
#define PGSEAL_BASE_LRU_H

#include <stdbool.h>
#include <stddef.h>

struct lru;

/** `slots`: a power of two. NULL when memory ran out. */
struct lru *lru_new(size_t slots, size_t row_size, size_t key_size, size_t limit);
/** NULL is fine. */
void lru_free(struct lru *lru);

size_t lru_count(const struct lru *lru);
/** Rows beyond the new limit are forgotten at once. */
void lru_limit(struct lru *lru, size_t limit);

/**
 * The row of this key, which is now the youngest of its kind; a new one is zero after its key. `high` makes
 * it a high one for good. NULL when memory ran out or there is no room: none at all, or none for low ones.
 * Borrowed until the next lru_note() or lru_limit().
 */
void *lru_note(struct lru *lru, const void *key, bool high);
/** NULL: there is none. */
void *lru_find(const struct lru *lru, const void *key);
/**
 * Walk the rows of a kind from the oldest to the youngest: NULL begins, and ends. Nothing may be noted
 * meanwhile.
 */
void *lru_next(const struct lru *lru, bool high, const void *row);

#endif
