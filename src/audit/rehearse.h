/**
 * A proposed policy, replayed on what is known of real clients: who would be refused, by which line, and what each
 * of them must change.
 */
#ifndef PGSEAL_AUDIT_REHEARSE_H
#define PGSEAL_AUDIT_REHEARSE_H

#include "audit/known.h"
#include "policy/match.h"

struct audit_subject;

enum rehearsed { REHEARSED_OUT, REHEARSED_UNKNOWN, REHEARSED_IN, REHEARSED_OUTCOMES };

struct rehearsed_client {
    const struct known_client *client;
    enum rehearsed outcome;
    const struct hba_rule *rule; /* that decides; NULL: none does, or several might */
    struct str why;              /* empty where it goes on as before */
    struct str change;           /* what must be done at the client, or for it; empty: nothing */
};

struct rehearsal {
    const struct rehearsed_client *items; /* those that would be refused first */
    size_t n;
    size_t counts[REHEARSED_OUTCOMES];
};

struct rehearse_params {
    const struct audit_subject *proposed; /* its policy is not NULL */
    const struct audit_subject *current;  /* whose roles are known; NULL: none are */
    /** Ask the name service; NULL: what depends on it stays unknown. */
    void (*look_up)(struct arena *arena, struct conn_facts *facts, enum match_need need);
    struct arena *arena; /* owns the result */
};

/** E_NOMEM. Blocks only in look_up(). */
MUST_CHECK enum code rehearse(const struct rehearse_params *params, const struct known_clients *known,
                              struct rehearsal *out);

#endif
