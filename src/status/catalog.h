/**
 * The system catalog of the status database: rows made from views.def and types.def.
 */
#ifndef PGSEAL_STATUS_CATALOG_H
#define PGSEAL_STATUS_CATALOG_H

#include "status/rows.h"

enum { CATALOG_OID_OWNER = 10, CATALOG_OID_DATABASE = 5 };

/** Number of rows of an ACCESS_BUILTIN view. */
size_t catalog_count(enum view view);
/** Fill a row; cells come as NULL. `database` is borrowed: the name this database goes by. */
void catalog_fill(enum view view, size_t index, struct str database, union view_row *out);
/** False for the second listing of a relation: pg_catalog's is found first. */
bool catalog_is_visible(uint32_t oid);
/** Help text of a relation (column 0) or column; NULL when there is none. */
const char *catalog_help(uint32_t oid, int64_t column);

#endif
