/**
 * One virtual-table module for all relations of a schema.
 */
#ifndef PGSEAL_SQL_VTAB_H
#define PGSEAL_SQL_VTAB_H

#include "sql/db_impl.h"

/** For xConnect: declare the columns, and allocate a table of `size` bytes, zeroed. */
int vtab_declare(struct db *db, sqlite3 *sql, const char *declaration, size_t size, sqlite3_vtab **out);
/** xDisconnect of such a table. */
int vtab_disconnect(sqlite3_vtab *base);
/** Register them. False when memory ran out. */
bool vtab_register(struct db *db);

#endif
