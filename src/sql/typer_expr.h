/**
 * Expressions, kind by kind.
 */
#ifndef PGSEAL_SQL_TYPER_EXPR_H
#define PGSEAL_SQL_TYPER_EXPR_H

#include "sql/typer_impl.h"

struct typer;

MUST_CHECK enum code type_expr(struct typer *t, struct scope *scope, struct expr **slot);
/** True when two typed expressions are the same. */
bool type_equal(const struct expr *a, const struct expr *b);

#endif
