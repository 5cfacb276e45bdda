/**
 * The checklist: which of its points are fulfilled, which are not, and which cannot be decided.
 */
#ifndef PGSEAL_AUDIT_CHECKLIST_H
#define PGSEAL_AUDIT_CHECKLIST_H

#include "audit/audit.h"

struct arena;

/** Fill report->checklist from the findings and what was not seen. E_NOMEM. */
MUST_CHECK enum code checklist_judge(struct audit_report *report, struct arena *arena);

#endif
