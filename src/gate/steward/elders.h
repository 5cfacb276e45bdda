/**
 * The processes before this one that still have sessions: what is heard of them, and asked.
 */
#ifndef PGSEAL_GATE_STEWARD_ELDERS_H
#define PGSEAL_GATE_STEWARD_ELDERS_H

#include "gate/steward/steward.h"

struct counters;

enum { ELDERS_MAX = 32 /* more than a parent keeps */ };

/**
 * The link to one of them (taken). written: called once, when it has written its last to the directory, or has ended; may be
 * NULL. False: memory ran out.
 */
MUST_CHECK bool elders_add(struct gate *g, int link, void (*written)(void *arg), void *arg);
/** For steward_hooks: ask all of them. */
bool elders_ask(struct gate *g, const struct cancel_request *request, cancel_answered *answered, void *arg);
/** For steward_hooks: ask all of them something. */
bool elders_query(struct gate *g, enum elder_question what, struct bytes details,
                  const struct elder_listener *listener);
/** Have them tell what they have counted; `done` is called once, later, unless this is false: there is none that answers. */
MUST_CHECK bool elders_count(struct gate *g, void (*done)(void *arg), void *arg);
/** On top of `sum` what they said then that is so only now. */
void elders_add_now(const struct gate *g, struct counters *sum);
/** Their links, borrowed, for who comes after us; how many. */
size_t elders_links(const struct gate *g, int out[ELDERS_MAX]);
/** The links are another process's from now on; of what they have to write nothing is waited for any more. */
void elders_leave(struct gate *g);
/** Close them. */
void elders_close(struct gate *g);

#endif
