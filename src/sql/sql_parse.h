/**
 * Statements as trees. Names are not resolved here: see typer.h.
 *
 * [src: PostgreSQL 18, "SQL Commands", "Value Expressions"]
 */
#ifndef PGSEAL_SQL_SQL_PARSE_H
#define PGSEAL_SQL_SQL_PARSE_H

#include "sql/sql_ast.h"

/**
 * Read all statements of a text, separated by semicolons.
 *
 * arena  receives the trees; they borrow from `sql` too.
 * out    list; at least one entry, STMT_EMPTY for an empty text.
 *
 * E_SYNTAX, E_UNSUPPORTED, E_COMPLEX, E_NOMEM, with the place; E_ENCODING.
 */
MUST_CHECK enum code sql_parse(struct arena *arena, struct str sql, struct stmt **out, struct sql_error *e);

#endif
