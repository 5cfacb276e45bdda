/**
 * What the files around SQLite share. Everyone else includes db.h.
 */
#ifndef PGSEAL_SQL_DB_IMPL_H
#define PGSEAL_SQL_DB_IMPL_H

#include "sql/db.h"
#include "sql/db_function.h"

struct db {
    sqlite3 *sql;
    const struct sql_schema *schema;
    const struct db_context *cx; /* of the statement that runs now */
    bool declaring;              /* a view's columns, in xConnect */
    struct err failure;          /* what a function or a view has refused; code OK: nothing */
};

/* Each room of functions ends its table with a row of NULLs. */
extern const struct db_function db_text_functions[];
extern const struct db_function db_number_functions[];
extern const struct db_function db_array_functions[];
extern const struct db_function db_time_functions[];
extern const struct db_function db_regex_functions[];

#endif
