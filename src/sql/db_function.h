/**
 * A function of SQL, as SQLite calls it: sql's own, and those that a schema brings along.
 */
#ifndef PGSEAL_SQL_DB_FUNCTION_H
#define PGSEAL_SQL_DB_FUNCTION_H

#include <sqlite3.h>

struct db_function {
    const char *name;
    int args; /* -1: any number */
    void (*call)(sqlite3_context *, int, sqlite3_value **);
    void (*step)(sqlite3_context *, int, sqlite3_value **);
    void (*final)(sqlite3_context *);
};

#endif
