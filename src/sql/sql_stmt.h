/**
 * Statements other than SELECT: settings, transactions, cursors, COPY.
 */
#ifndef PGSEAL_SQL_SQL_STMT_H
#define PGSEAL_SQL_SQL_STMT_H

#include "sql/sql_cursor.h"

struct parser;

void sql_statement(struct parser *p, struct stmt *out);

#endif
