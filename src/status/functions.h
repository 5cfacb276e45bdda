/**
 * SQL functions about the asking session, the settings and the catalog.
 */
#ifndef PGSEAL_STATUS_FUNCTIONS_H
#define PGSEAL_STATUS_FUNCTIONS_H

#include "sql/db_function.h"

/** Ends with a row of NULLs. */
extern const struct db_function status_functions[];

#endif
