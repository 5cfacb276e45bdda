/* The sessions of one worker, and how many are still owed an end. */
#include "gate/session/roster.h"

#include "gate/session/session.h"

void roster_add(struct worker *worker, struct session *session)
{
    TAILQ_INSERT_TAIL(&worker->sessions, session, entry);
    worker->n_alive++;
}

void roster_remove(struct worker *worker, struct session *session)
{
    if (worker->session_leaves)
        worker->session_leaves(worker, session);
    TAILQ_REMOVE(&worker->sessions, session, entry);
}

void roster_owes_less(struct worker *worker)
{
    if (worker->n_owed > 0)
        worker->n_owed--;
    worker->hooks->sessions_changed(worker);
}

void roster_freed(struct worker *worker, bool late)
{
    worker->n_alive--;
    worker->hooks->descriptor_freed(worker);
    if (!late && worker->n_owed > 0)
        worker->n_owed--;
    worker->hooks->sessions_changed(worker);
}
