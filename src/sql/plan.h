/**
 * A statement made ready: parsed, typed, written as SQLite's SQL.
 */
#ifndef PGSEAL_SQL_PLAN_H
#define PGSEAL_SQL_PLAN_H

#include "base/arena.h"
#include "sql/sql_ast.h"
#include "sql/typer.h"

enum { PLAN_ARENA_MAX = 16 << 20, PLAN_COLUMNS_MAX = 1664 /* as in PostgreSQL */ };

struct plan {
    struct arena arena;
    const struct stmt *stmt; /* in `arena` too, except for a script's */
    struct str text;         /* as the client wrote it */
    struct str sql;          /* SQLite's; empty: it returns no rows */
    struct column *columns;  /* of the result */
    size_t column_count;
    enum pg_type params[PARAMS_MAX];
    size_t param_count;
    uint64_t relations; /* that are read: a bit for each, by number */
};

/** NULL when memory ran out. */
struct plan *plan_new(void);
/** NULL is fine. */
void plan_free(struct plan *plan);

/** Who asks what: for rights, and for what "now" means in a literal. */
struct plan_context {
    const struct sql_schema *schema; /* what may be named */
    bool is_admin;
    bool can_see_all;
    int64_t now_us;
};

/**
 * Type and write the query behind a statement, if it has one: SELECT, DECLARE, COPY, SHOW. plan->params and
 * param_count hold what the client declared.
 *
 * stmt  borrowed; completed in place.
 */
MUST_CHECK enum code plan_make(struct plan *plan, struct stmt *stmt, const struct plan_context *context,
                               struct sql_error *e);

#endif
