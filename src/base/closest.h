/**
 * How far a misspelt name is from a known one, for "did you mean".
 */
#ifndef PGSEAL_BASE_CLOSEST_H
#define PGSEAL_BASE_CLOSEST_H

#include "base/slice.h"

/** Longest name that is compared; longer ones are far from everything. */
enum { CLOSEST_NAME_MAX = 64 };

/**
 * Letters added, dropped, changed or swapped with their neighbour, ASCII case ignored. SIZE_MAX: too long.
 */
size_t closest_distance(struct str a, struct str b);
/** True when a person who wrote `a` may well have meant `b`: at most a third of the letters differ. */
bool closest_enough(struct str a, struct str b, size_t distance);

/** A search for the known name that was meant by `name`. */
struct closest {
    struct str name; /* borrowed */
    size_t distance;
    struct str best; /* borrowed from what was offered; p == NULL: none is near */
};

struct closest closest_begin(struct str name);
/** Of names that are equally near the first one stays. */
void closest_offer(struct closest *search, struct str known);

#endif
