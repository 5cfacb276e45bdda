/**
 * The rows of pg_hba_file_rules and pg_ident_file_mappings: the files as they are now, bad lines included.
 */
#ifndef PGSEAL_POLICY_ROWS_H
#define PGSEAL_POLICY_ROWS_H

#include "policy/policy.h"

struct arena;

/** The options as pg_hba_file_rules shows them, implied ones included; they live in `arena`. E_NOMEM. */
MUST_CHECK enum code policy_rule_options(struct arena *arena, const struct hba_rule *rule,
                                         enum hba_secrets secrets, struct str_list *out);
/**
 * Read the hba file again and give a row per record or bad line.
 *
 * params  borrowed; `features` do not matter.
 * arena   borrowed; owns the rows.
 * diags   may be NULL: the messages of a load.
 *
 * Not OK: the file could not be opened, `e` has PostgreSQL's words (an ERROR of the view).
 */
MUST_CHECK enum code policy_hba_rows(const struct policy_params *params, struct arena *arena,
                                     struct hba_rows *out, struct diags *diags, struct err *e);
MUST_CHECK enum code policy_ident_rows(const struct policy_params *params, struct arena *arena,
                                       struct ident_rows *out, struct diags *diags, struct err *e);

#endif
