/**
 * Nodes of expressions, as the rules make them.
 */
#ifndef PGSEAL_SQL_SQL_NODE_H
#define PGSEAL_SQL_SQL_NODE_H

#include "sql/sql_cursor.h"

struct parser;

struct expr *sql_node(struct parser *p, enum expr_kind kind, uint32_t at);
/** Append to a list of arguments. */
void sql_add_arg(struct expr *e, struct expr *arg);
struct expr *sql_call1(struct parser *p, uint32_t at, const char *function, struct expr *arg);
struct expr *sql_text(struct parser *p, uint32_t at, struct str text);

#endif
