/**
 * Rows about limits per user, database and address.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_LIMITS_H
#define PGSEAL_GATE_VIEWS_ROWS_LIMITS_H

#include "gate/views/rows.h"

MUST_CHECK enum code rows_make_limits(struct rows *rows, struct rows_list *out, struct err *e);

#endif
