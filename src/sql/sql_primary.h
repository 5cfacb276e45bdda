/**
 * The atoms of expressions: literals, names, calls, CASE, casts, subqueries.
 */
#ifndef PGSEAL_SQL_SQL_PRIMARY_H
#define PGSEAL_SQL_SQL_PRIMARY_H

#include "sql/sql_cursor.h"

struct parser;

/** a, b, …; the number of them in *count. */
struct expr *sql_expr_list(struct parser *p, size_t *count);
struct expr *sql_primary(struct parser *p);
/** A type's name; PG_UNKNOWN and failed when it is none. */
enum pg_type sql_type_name(struct parser *p);
/** The list after ORDER BY. */
struct order *sql_order_list(struct parser *p);

#endif
