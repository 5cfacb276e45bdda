/**
 * Rows about failures: what the workers counted, put together.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_TALLY_H
#define PGSEAL_GATE_VIEWS_ROWS_TALLY_H

#include "gate/views/rows.h"

MUST_CHECK enum code rows_make_failures(struct rows *rows, struct rows_list *out, struct err *e);

#endif
