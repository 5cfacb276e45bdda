/**
 * Queries: select lists, grouping, set operations, WITH, ORDER BY, LIMIT.
 */
#ifndef PGSEAL_SQL_TYPER_SELECT_H
#define PGSEAL_SQL_TYPER_SELECT_H

#include "sql/typer_impl.h"

struct typer;

MUST_CHECK enum code type_select(struct typer *t, struct scope *outer, struct select *s);

#endif
