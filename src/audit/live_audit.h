/**
 * The audit of a live server: one statement after the other; what may not be seen is recorded.
 */
#ifndef PGSEAL_AUDIT_LIVE_AUDIT_H
#define PGSEAL_AUDIT_LIVE_AUDIT_H

#include "audit/collect_rules.h"
#include "audit/live.h"
#include "audit/subject_live.h"

struct live_audit {
    struct live *live;
    struct arena *arena;
    struct collected *collected;
    struct subject_live *seen;
    struct err *e; /* why the audit cannot go on */
};

struct live_statement {
    const char *what; /* "the rules" */
    const char *sql;
    const char *needs; /* the role that may: "a superuser"; NULL: any */
    unsigned items;    /* points of the checklist that depend on it */
};

/**
 * Ask; what is refused goes to subject.unseen, and `out_seen` is false then.
 *
 * E_CLOSED, E_LIMIT, E_NOMEM: the audit is over, see audit->e.
 */
MUST_CHECK enum code live_audit_query(struct live_audit *audit, const struct live_statement *statement,
                                      struct live_rows *out, bool *out_seen);
/** Remember what is not to be seen, and why. E_NOMEM. */
MUST_CHECK enum code live_audit_unseen(struct live_audit *audit, const char *what, struct str why,
                                       unsigned items);

#endif
