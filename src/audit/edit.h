/**
 * The fix of a finding as an edit of one line.
 */
#ifndef PGSEAL_AUDIT_EDIT_H
#define PGSEAL_AUDIT_EDIT_H

#include "audit/rule_audit.h"

/**
 * Give a setting another value, where it is written or at the end of the main file; `value` as in the file,
 * with its quotes. No edit where the line that counts is on a command line or was written by ALTER SYSTEM.
 * `f` may be NULL.
 */
void edit_setting(struct audit *a, struct finding *f, const char *setting, const char *value);
/** Give the rule another type. No edit where its record is more than one line. `f` may be NULL. */
void edit_rule_type(struct rule_audit *l, struct finding *f, const char *type);

#endif
