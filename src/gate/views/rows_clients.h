/**
 * Rows about clients: what all workers counted, and what was kept from earlier runs.
 */
#ifndef PGSEAL_GATE_VIEWS_ROWS_CLIENTS_H
#define PGSEAL_GATE_VIEWS_ROWS_CLIENTS_H

#include "gate/views/rows.h"

void rows_fill_client(const struct rows *rows, size_t index, struct row_pgseal_clients *out);
MUST_CHECK enum code rows_make_clients(struct rows *rows, struct rows_list *out, struct err *e);

#endif
