/**
 * Rows about reloads, asked of the steward.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_HISTORY_H
#define PGSEAL_GATE_VIEWS_ROWS_HISTORY_H

#include "gate/views/rows.h"

MUST_CHECK enum code rows_make_generations(struct rows *rows, struct rows_list *out, struct err *e);

#endif
