/**
 * pgseal audit --rehearse: what is known of clients is gathered, the proposed rules are read, and the outcome is told.
 */
#ifndef PGSEAL_CMD_AUDIT_REHEARSE_H
#define PGSEAL_CMD_AUDIT_REHEARSE_H

#include "audit/collect_rules.h"
#include "audit/rehearse.h"

#include <jansson.h>

struct buf;
struct cmd;

struct audit_rehearsal {
    const char *path; /* of what is proposed */
    struct collected proposed;
    struct known_clients known;
    struct rehearsal outcome;
};

struct audit_rehearsal_params {
    const struct cmd *cmd;
    const char *path;
    unsigned version; /* of rule files that stand alone; 0: the newest */
    struct arena *arena;
    const struct audit_subject *const *targets; /* that were read */
    size_t n_targets;
};

/**
 * Gather and replay; release with audit_rehearsal_fini(), also after a failure.
 *
 * E_CONFIG: what is proposed is no policy, or one that a server refuses; E_NO_FILE and kin; E_NOMEM.
 */
MUST_CHECK enum code audit_rehearsal_run(const struct audit_rehearsal_params *params,
                                         struct audit_rehearsal *out, struct err *e);
void audit_rehearsal_fini(struct audit_rehearsal *rehearsal);
/** The clients that a gate has written down. None is no error. */
MUST_CHECK enum code audit_rehearsal_add_gate(struct known_clients *known,
                                              const struct audit_subject *subject, struct err *e);

void audit_rehearsal_print(const struct cmd *cmd, const struct audit_rehearsal *rehearsal);
json_t *audit_rehearsal_json(const struct audit_rehearsal *rehearsal);
/** A section of the page. */
void audit_rehearsal_html(const struct audit_rehearsal *rehearsal, struct buf *out);

#endif
