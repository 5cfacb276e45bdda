/**
 * Expressions below others: arguments, and conditions that must be boolean.
 */
#ifndef PGSEAL_SQL_TYPER_ARGS_H
#define PGSEAL_SQL_TYPER_ARGS_H

#include "sql/typer_impl.h"

struct typer;

/** A typed expression that must be boolean; `what` for the message. */
MUST_CHECK enum code type_bool(struct typer *t, struct expr **slot, const char *what);
/** Type an expression that must be boolean; `clause` for the message. */
MUST_CHECK enum code type_condition(struct typer *t, struct scope *scope, struct expr **slot,
                                    const char *clause);
MUST_CHECK enum code type_args(struct typer *t, struct scope *scope, struct expr *e);

#endif
