/**
 * Expressions by precedence, weakest first.
 */
#ifndef PGSEAL_SQL_SQL_EXPR_H
#define PGSEAL_SQL_SQL_EXPR_H

#include "sql/sql_cursor.h"

struct parser;

struct expr *sql_expr(struct parser *p);
/** Without the boolean and comparison operators: bounds of BETWEEN. */
struct expr *sql_operand(struct parser *p);

#endif
