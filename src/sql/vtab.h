/**
 * One virtual-table module for all relations of a schema.
 */
#ifndef PGSEAL_SQL_VTAB_H
#define PGSEAL_SQL_VTAB_H

#include "sql/db_impl.h"

/** Register them. False when memory ran out. */
bool vtab_register(struct db *db);

#endif
