/**
 * The sessions of a gate that stops end one after the other, so that their clients come back one after the other.
 */
#ifndef PGSEAL_GATE_SESSION_DRAIN_H
#define PGSEAL_GATE_SESSION_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer;
struct worker;

/** How far a worker has come. Callers embed it. */
struct drain {
    struct worker *worker;
    struct timer *timer;
    int64_t began_ms;
    int64_t spread_ms; /* after that all are due */
    size_t n;          /* sessions at the beginning */
};

/** False: memory ran out. */
bool drain_init(struct drain *drain, struct worker *worker);
void drain_fini(struct drain *drain);
/** All sessions have been told to drain. From now on they fall due: the idle ones first, the longest idle of them
 * before the others. */
void drain_begin(struct drain *drain);
/** They end at once: none falls due any more. */
void drain_stop(struct drain *drain);

#endif
