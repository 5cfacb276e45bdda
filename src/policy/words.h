/**
 * The names of record types and options, and what a record says of options.
 */
#ifndef PGSEAL_POLICY_WORDS_H
#define PGSEAL_POLICY_WORDS_H

#include "policy/policy.h"

struct arena;

/** As written in the file, e.g. "hostssl", "ldapport". */
const char *hba_type_name(enum hba_type type);
const char *hba_option_name(enum hba_option option);
/** The option's value as written; false when the record does not give it. */
bool hba_rule_option(const struct hba_rule *rule, enum hba_option option, struct str *out);
/** Does the record give it? */
bool hba_option_given(const struct hba_rule *rule, enum hba_option option);
/** True when its text holds a password (ldapbindpasswd, radiussecrets): `raw` must not be logged. */
bool hba_rule_has_secret(const struct hba_rule *rule);
bool hba_option_is_secret(enum hba_option option);
/**
 * `raw` as it may be shown: passwords hidden, and then without a comment; in `arena`. False: out of memory.
 */
bool hba_rule_redacted(struct arena *arena, const struct hba_rule *rule, struct str *out);

#endif
