/**
 * The fix of a finding as an edit of one line.
 */
#ifndef PGSEAL_AUDIT_EDIT_H
#define PGSEAL_AUDIT_EDIT_H

#include "audit/rule_audit.h"

/**
 * Give a setting another value, where it is written or at the end of the main file; `value` as in the file,
 * with its quotes. Where the line that counts was written by ALTER SYSTEM, or a live server was asked, the fix
 * is the statement instead; on a command line there is neither. `f` may be NULL.
 */
void edit_setting(struct audit *a, struct finding *f, const char *setting, const char *value);
/** One line of a file, without its end. False: it is not to be read, or empty. Lives as long as the audit. */
bool edit_line(struct audit *a, struct str file, unsigned line, struct str *out);
/** Give the rule another type. No edit where its record is more than one line; of a live server's rules the fix is
 * the line as text. `f` may be NULL. */
void edit_rule_type(struct rule_audit *l, struct finding *f, const char *type);

#endif
