/**
 * Conversions between types.
 */
#ifndef PGSEAL_SQL_TYPER_COERCE_H
#define PGSEAL_SQL_TYPER_COERCE_H

#include "sql/typer_impl.h"

struct typer;

/** Columns of unknown type become text. */
MUST_CHECK enum code type_settle(struct typer *t, struct select *s);
/** Make output column `i` of a query be of `type`. */
MUST_CHECK enum code type_output(struct typer *t, struct select *s, size_t i, enum pg_type type);
/** The type that both can become without being asked; false when there is none. */
bool type_common(enum pg_type a, enum pg_type b, enum pg_type *out);
bool type_implicit(enum pg_type from, enum pg_type to);
/** Make the expression be of `type`; literals are read now. The conversion must be a known one. */
MUST_CHECK enum code type_coerce(struct typer *t, struct expr **slot, enum pg_type type);
/** Make it the text that a client would see, which for booleans is not what a cast gives. */
MUST_CHECK enum code type_as_shown(struct typer *t, struct expr **slot);
MUST_CHECK enum code type_cast(struct typer *t, struct expr **slot);
/** Bring all expressions of a list to their common type; `what` for the message. */
MUST_CHECK enum code type_unify(struct typer *t, struct expr **list, const char *what, enum pg_type *out);
struct expr *type_const_int(struct typer *t, int64_t v);
/** Put `new` where *slot is, keeping the list. */
void type_replace(struct expr **slot, struct expr *new_expr);
enum code type_nomem(struct typer *t);
/** The expression of output column `i`. */
struct expr **type_target(struct select *s, size_t i);

#endif
