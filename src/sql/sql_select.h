/**
 * SELECT, VALUES, set operations, FROM.
 */
#ifndef PGSEAL_SQL_SQL_SELECT_H
#define PGSEAL_SQL_SQL_SELECT_H

#include "sql/sql_cursor.h"

struct parser;

struct select *sql_select(struct parser *p);

#endif
