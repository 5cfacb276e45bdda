/**
 * The line to the clerk (status/clerk_wire.h): one question at a time, none of which outlives its deadline.
 *
 * A clerk is started by the parent (os/family.h) when there is something to ask. One that does not answer in
 * time, ends, or says what it may not is replaced; what it had open is lost.
 */
#ifndef PGSEAL_GATE_WORK_CLERK_LINK_H
#define PGSEAL_GATE_WORK_CLERK_LINK_H

#include "status/clerk_wire.h"

struct clerk_link;
struct env;

/** parent: its line, borrowed; -1: there is none, and no statement runs. NULL: no memory or no descriptors. */
struct clerk_link *clerk_link_new(int parent, const struct env *env);
/** Have a clerk before there are questions, while descriptors and memory are there; failing is no harm. */
void clerk_link_start(struct clerk_link *link);
/** From any thread: the question under way, and all later ones, end with E_SHUTDOWN. NULL is fine. */
void clerk_link_stop(struct clerk_link *link);
/** Nobody asks any more. NULL is fine. */
void clerk_link_free(struct clerk_link *link);
/** For those who ask; lives as long as the link. */
struct clerk_line clerk_link_line(struct clerk_link *link);

#endif
