/**
 * Rows about the upstream servers: what is configured, and what the workers counted of it.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_UPSTREAMS_H
#define PGSEAL_GATE_VIEWS_ROWS_UPSTREAMS_H

#include "gate/views/rows.h"

MUST_CHECK enum code rows_make_upstreams(struct rows *rows, struct rows_list *out, struct err *e);

#endif
