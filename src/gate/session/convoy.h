/**
 * All sessions that can move, of all workers, over the link to another process of the gate; and their arrival there.
 *
 * Each step is a round: every worker takes it, and when the last one has, the steward is called.
 */
#ifndef PGSEAL_GATE_SESSION_CONVOY_H
#define PGSEAL_GATE_SESSION_CONVOY_H

#include "gate/work/link.h"
#include "gate/work/worker.h"

/* ---- the old process; on the steward's loop ---- */

struct convoy;

/** What has moved, and what stays. */
struct convoy_counts {
    unsigned moved, stayed;
    bool failed; /* not all could be told */
};

/** `done` is called at the end of each round. Both borrowed. NULL: memory ran out. */
struct convoy *convoy_new(struct gate_shared *shared, const struct link *link, void (*done)(void *arg),
                          void *arg);
/** All hold their sessions, and send what can move. */
void convoy_depart(struct convoy *convoy);
/** No more of it, in the round that is under way: it is over sooner. */
void convoy_cancel(struct convoy *convoy);
/** All sessions that were held go on. */
void convoy_thaw(struct convoy *convoy);
/** All forget what the other process has; it is told first who was to end meanwhile. */
void convoy_forget(struct convoy *convoy);
struct convoy_counts convoy_counts(const struct convoy *convoy);
/** For each reason that sessions stay for, how many they are; between rounds. */
void convoy_stays(const struct convoy *convoy, void (*each)(void *arg, const char *why, unsigned n),
                  void *arg);
/** No round is under way, or no worker's loop runs any more. NULL is fine. */
void convoy_free(struct convoy *convoy);

/* ---- the new process; on the steward's loop ---- */

struct arrivals;

/** `settled` is called once, when all sessions that came until arrivals_end() have been taken, or not. NULL: no memory. */
struct arrivals *arrivals_new(struct gate_shared *shared, void (*settled)(void *arg), void *arg);
/** A packet of LINK_SESSION, LINK_FAILURE or LINK_DOOMED; its descriptors are taken. False: it makes no sense, or memory ran out. */
MUST_CHECK bool arrivals_take(struct arrivals *arrivals, struct os_packet *packet);
/** There come no more. */
void arrivals_end(struct arrivals *arrivals);
/** After `settled`: NULL, or why one could not be taken. */
const char *arrivals_trouble(const struct arrivals *arrivals);
/** How many. */
unsigned arrivals_count(const struct arrivals *arrivals);
/** COMMIT: the sessions live, and the workers accept. */
void arrivals_begin(struct arrivals *arrivals);
/** NULL is fine. */
void arrivals_free(struct arrivals *arrivals);

#endif
