/**
 * Names of columns.
 */
#ifndef PGSEAL_SQL_TYPER_COLUMN_H
#define PGSEAL_SQL_TYPER_COLUMN_H

#include "sql/typer_impl.h"

struct typer;

/** True when a relation of this scope goes by the name. */
bool type_has_table(const struct scope *scope, struct str table);
/** Turn a column's name into SQLite's. */
MUST_CHECK enum code type_column(struct typer *t, struct scope *scope, struct expr **slot);

#endif
