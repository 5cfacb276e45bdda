/**
 * What SQL knows of the status database: its views as relations, its own functions, and whom they ask.
 */
#ifndef PGSEAL_STATUS_SCHEMA_H
#define PGSEAL_STATUS_SCHEMA_H

#include "sql/db.h"
#include "sql/relation.h"
#include "status/rows.h"
#include "status/session.h"

struct vars;

/** What views and functions may ask while a statement runs: give SQL `db`. */
struct status_context {
    struct db_context db; /* first: SQL hands it back */
    const struct console_params *self;
    const struct vars *vars;
    struct row_source *rows; /* NULL: all views are empty */
};

const struct sql_schema *status_schema(void);
/** The whole of which `cx` is the part that SQL was given. */
const struct status_context *status_context_of(const struct db_context *cx);

#endif
