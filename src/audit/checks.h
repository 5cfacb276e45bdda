/**
 * The table of checks, tables/checks.def.
 */
#ifndef PGSEAL_AUDIT_CHECKS_H
#define PGSEAL_AUDIT_CHECKS_H

enum check {
#define X(name, id, subject, severity, item, title, why, fix) CHECK_##name,
#include "checks.def"
#undef X
    CHECK_COUNT
};

/** The worst first. */
enum finding_severity { FINDING_HIGH, FINDING_MEDIUM, FINDING_LOW, FINDING_INFO, FINDING_SEVERITIES };

enum { CHECKLIST_ITEMS = 6 };

/** "tls_off". */
const char *check_id(enum check check);
/** Of the profile `default`. */
enum finding_severity check_severity(enum check check);
/** The point of the checklist that a finding leaves open, from 1; 0: none. */
unsigned check_item(enum check check);
/** One line that says what it is about. */
const char *check_title(enum check check);
/** Why it matters, one sentence. */
const char *check_why(enum check check);
/** What to do, in general. */
const char *check_fix(enum check check);
/** "high", "medium", "low", "info". */
const char *finding_severity_name(enum finding_severity severity);
/** A point of the checklist, from 1, in words. */
const char *checklist_text(unsigned item);

#endif
