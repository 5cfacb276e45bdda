/**
 * generate_series() and unnest() as tables with arguments: one module, whose rows are numbers or the elements of an array.
 */
#ifndef PGSEAL_SQL_SERIES_H
#define PGSEAL_SQL_SERIES_H

#include "sql/db_impl.h"

/** Register generate_series() and unnest(), likewise. */
bool series_register(struct db *db);

#endif
