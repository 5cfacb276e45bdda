/**
 * Options of a record: one reader per type of option, driven by tables/hba_options.def.
 */
#ifndef PGSEAL_POLICY_HBA_OPTS_H
#define PGSEAL_POLICY_HBA_OPTS_H

#include "policy/policy_impl.h"

/** One `name=value`; `options` has HBA_OPTION_COUNT elements. */
MUST_CHECK enum code hba_parse_option(struct line_parser *p, struct hba_rule *rule, struct str *options,
                                      struct str text);
/** Checks that need all options of the record. */
MUST_CHECK enum code hba_check_options(struct line_parser *p, struct hba_rule *rule);

#endif
