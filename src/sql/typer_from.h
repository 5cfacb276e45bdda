/**
 * FROM: relations, joins, and the columns they let expressions name.
 */
#ifndef PGSEAL_SQL_TYPER_FROM_H
#define PGSEAL_SQL_TYPER_FROM_H

#include "sql/typer_impl.h"

struct typer;

MUST_CHECK enum code type_from(struct typer *t, struct scope *scope, struct from *list);
/** Replace * and table.* in a select list. */
MUST_CHECK enum code type_expand(struct typer *t, struct scope *scope, struct target **list);

#endif
