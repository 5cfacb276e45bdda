/**
 * A bounded hash table of rows in order of age: what was noted longest ago is forgotten first.
 *
 * Rows have one size and begin with their key, a struct whose bytes are all set (texts padded with zeros):
 * keys are equal when their bytes are. Rows are low or high: low ones go first, and never drive out high
 * ones.
 */
#ifndef PGSEAL_BASE_AGED_H
#define PGSEAL_BASE_AGED_H

#include <stdbool.h>
#include <stddef.h>

struct aged;

/** `slots`: a power of two. NULL when memory ran out. */
struct aged *aged_new(size_t slots, size_t row_size, size_t key_size, size_t limit);
/** NULL is fine. */
void aged_free(struct aged *aged);

size_t aged_count(const struct aged *aged);
/** Rows beyond the new limit are forgotten at once. */
void aged_limit(struct aged *aged, size_t limit);

/**
 * The row of this key, which is now the youngest of its kind; a new one is zero behind its key. `high` makes
 * it a high one for good. NULL when memory ran out or there is no room: none at all, or none for low ones.
 * Borrowed until the next aged_note() or aged_limit().
 */
void *aged_note(struct aged *aged, const void *key, bool high);
/** NULL: there is none. */
void *aged_find(const struct aged *aged, const void *key);
/**
 * Walk the rows of a kind from the oldest to the youngest: NULL begins, and ends. Nothing may be noted
 * meanwhile.
 */
void *aged_next(const struct aged *aged, bool high, const void *row);

#endif
