/**
 * A plan made true: files, server and proof in one change (change.h), or everything as before.
 */
#ifndef PGSEAL_HARDEN_APPLY_H
#define PGSEAL_HARDEN_APPLY_H

#include "harden/change.h"
#include "harden/plan.h"
#include "harden/prove.h"
#include "harden/server.h"

/** What the hooks of a change need. Borrowed as long as the change is open. */
struct harden_job {
    const struct harden_target *target;
    const struct harden_plan *plan; /* NULL: taking back */
    const struct harden_names *names;
    const struct harden_server *server; /* NULL: a gate */
    const struct harden_seen *seen;     /* of the server, before */
    const struct env *env;
    struct arena *arena;
    struct harden_proofs proofs; /* set by the change */
};

/** Open the state directory; what an unfinished run has left is put back. As change_open(). */
MUST_CHECK enum code harden_job_open(struct harden_job *job, bool force, struct change **out,
                                     struct change_report *report, struct err *e);
/** Change the plan's files. As change_apply(). */
MUST_CHECK enum code harden_job_apply(const struct harden_job *job, struct change *change,
                                      struct change_report *report, struct err *e);

#endif
