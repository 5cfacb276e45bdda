/**
 * One line of tokens → one rule.
 */
#ifndef PGSEAL_POLICY_HBA_PARSE_H
#define PGSEAL_POLICY_HBA_PARSE_H

#include "policy/policy_impl.h"

/**
 * Parse a line without tokenizer error into `out`.
 * OK, but p->fault.error set: the record loads and can never match. E_CONFIG, E_REGEX: p->fault. E_NOMEM.
 */
MUST_CHECK enum code hba_parse_line(struct line_parser *p, const struct hba_line *line, struct hba_rule *out);
/** What a token of a user field means; compiles it if it is a regular expression. */
MUST_CHECK enum code hba_parse_user(struct line_parser *p, struct hba_token token, struct hba_name *out);
/** Compile a token that begins with a slash. */
MUST_CHECK enum code hba_parse_regex(struct line_parser *p, struct hba_token token, bool captures,
                                     struct hba_name *out);

#endif
