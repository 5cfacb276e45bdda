/**
 * Who only looks whether the gate is there: balancers and monitors, by address and by the user that they name.
 *
 * Bounded: who was seen longest ago is forgotten first. Thread-safe.
 */
#ifndef PGSEAL_GATE_STATS_VISITS_H
#define PGSEAL_GATE_STATS_VISITS_H

#include "base/slice.h"

#include <stdbool.h>

struct visits;

enum { VISITS_OF_A_CHECK = 3 /* in a row: from then on it is one */ };

/** NULL when memory ran out. */
struct visits *visits_new(void);
/** NULL is fine. */
void visits_free(struct visits *visits);

/** A visit that looks like a check; user: empty where none was named. How many there were in a row, with this one; 0:
 * memory ran out. */
unsigned visits_note(struct visits *visits, const char *address, struct str user);
/** A visit that does not: those before it count no more. */
void visits_forget(struct visits *visits, const char *address, struct str user);
/** Are there checks from this address? Costs nothing while there are none at all. */
bool visits_known(struct visits *visits, const char *address);

#endif
