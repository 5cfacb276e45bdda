/**
 * What the files around SQLite share. Everyone else includes db.h.
 */
#ifndef PGSEAL_SQL_DB_IMPL_H
#define PGSEAL_SQL_DB_IMPL_H

#include "sql/db.h"

#include <sqlite3.h>

struct db {
    sqlite3 *sql;
    const struct db_context *cx; /* of the statement that runs now */
    bool declaring;              /* a view's columns, in xConnect */
    struct err failure;          /* what a function or a view has refused; code OK: nothing */
};

struct db_function {
    const char *name;
    int args; /* -1: any number */
    void (*call)(sqlite3_context *, int, sqlite3_value **);
    void (*step)(sqlite3_context *, int, sqlite3_value **);
    void (*final)(sqlite3_context *);
};

/* Each room of functions ends its table with a row of NULLs. */
extern const struct db_function db_session_functions[];
extern const struct db_function db_text_functions[];
extern const struct db_function db_number_functions[];
extern const struct db_function db_array_functions[];
extern const struct db_function db_time_functions[];
extern const struct db_function db_regex_functions[];

#endif
