/**
 * Functions: the row of functions.def that fits a call.
 */
#ifndef PGSEAL_SQL_TYPER_FUNC_H
#define PGSEAL_SQL_TYPER_FUNC_H

#include "sql/typer_impl.h"

struct typer;

MUST_CHECK enum code type_call(struct typer *t, struct scope *scope, struct expr **slot);

#endif
