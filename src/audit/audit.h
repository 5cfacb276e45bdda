/**
 * What is wrong with a configuration, or weaker than it need be: the checks of tables/checks.def.
 *
 * An audit is a function from what was seen (subject.h) to findings and a checklist. Nothing is claimed that
 * was not looked at: where a rule is said to admit a client, policy_match() has agreed; a point of the
 * checklist is fulfilled only if everything that it depends on was seen.
 */
#ifndef PGSEAL_AUDIT_AUDIT_H
#define PGSEAL_AUDIT_AUDIT_H

#include "audit/finding.h"

enum checklist_pass { CHECKLIST_FAILED, CHECKLIST_PASSED, CHECKLIST_UNKNOWN };

struct checklist_item {
    enum checklist_pass pass;
    struct str why; /* one sentence */
};

struct audit_report {
    const struct audit_subject *subject;
    enum audit_profile profile;
    struct findings findings; /* the worst first */
    size_t counts[FINDING_SEVERITIES];
    const struct audit_certificate *certificates; /* that were looked at */
    size_t n_certificates;
    struct checklist_item checklist[CHECKLIST_ITEMS];
};

/**
 * Look at everything.
 *
 * profile  whose severities findings get; facts are the same with all.
 * arena    borrowed; owns the report.
 *
 * E_NOMEM. What cannot be read is a finding or, where another check says so, passed over. Reads files, else
 * never blocks.
 */
MUST_CHECK enum code audit_run(const struct audit_subject *subject, enum audit_profile profile,
                               struct arena *arena, struct audit_report *out);

#endif
