/**
 * Values of options that are comma lists, or numbers.
 */
#ifndef PGSEAL_POLICY_HBA_LIST_H
#define PGSEAL_POLICY_HBA_LIST_H

#include "policy/policy.h"

/** A comma list as in settings, with quotes; count only. False when it is malformed. */
bool hba_split_list(struct str text, bool (*item)(void *arg, struct str item), void *arg, size_t *out_n);
/** Items of the option's list; 0 where it is malformed, or not given. */
size_t hba_list_length(const struct hba_rule *rule, enum hba_option option);
/** As C's atoi over the text. */
int hba_atoi(struct str text);

#endif
