/**
 * A typed tree as SQLite's SQL.
 */
#ifndef PGSEAL_SQL_SQL_EMIT_H
#define PGSEAL_SQL_SQL_EMIT_H

#include "sql/typer.h"

/** Append the query in SQLite's SQL; result columns are named c1, c2, … */
void sql_emit(struct buf *out, const struct select *s);

#endif
