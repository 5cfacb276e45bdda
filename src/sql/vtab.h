/**
 * One virtual-table module for all views.
 */
#ifndef PGSEAL_SQL_VTAB_H
#define PGSEAL_SQL_VTAB_H

#include "sql/db_impl.h"

/** Register all views. False when memory ran out. */
bool vtab_register(struct db *db);
/** The rows a view has now. */
MUST_CHECK enum code db_row_count(struct db *db, enum view view, size_t *out, struct err *e);

#endif
