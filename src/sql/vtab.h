/**
 * One virtual-table module for all relations of a schema.
 */
#ifndef PGSEAL_SQL_VTAB_H
#define PGSEAL_SQL_VTAB_H

#include "sql/db_impl.h"

/** A table of a module: one of several of its kind. */
struct vtab_table {
    sqlite3_vtab base;
    struct db *db;
    unsigned number; /* which of them */
};

/** What a module's tables are made from: the argument of xConnect. */
struct vtab_kind {
    struct db *db;
    unsigned number;
};

/** Register a module under a name. False when memory ran out. */
bool vtab_add(struct db *db, const char *name, const sqlite3_module *module, unsigned number);
/** For xConnect: declare the columns, and make the table. */
int vtab_connect(sqlite3 *sql, const struct vtab_kind *kind, const char *declaration, sqlite3_vtab **out);
/** xDisconnect of such a table. */
int vtab_disconnect(sqlite3_vtab *base);
/** The table that a cursor is on. */
const struct vtab_table *vtab_of(const sqlite3_vtab_cursor *cursor);
/** Register them. False when memory ran out. */
bool vtab_register(struct db *db);

#endif
