/**
 * Operators.
 */
#ifndef PGSEAL_SQL_TYPER_OPS_H
#define PGSEAL_SQL_TYPER_OPS_H

#include "sql/typer_impl.h"

struct typer;

MUST_CHECK enum code type_infix(struct typer *t, struct scope *scope, struct expr **slot);
MUST_CHECK enum code type_any(struct typer *t, struct scope *scope, struct expr **slot);

#endif
