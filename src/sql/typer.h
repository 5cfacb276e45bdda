/**
 * Names and types: every column, function and operator of a parsed query is found, or refused as PostgreSQL
 * would refuse it, and every value gets the type that RowDescription shows.
 *
 * [src: PostgreSQL 18, "Type Conversion", "Value Expressions"]
 */
#ifndef PGSEAL_SQL_TYPER_H
#define PGSEAL_SQL_TYPER_H

#include "sql/sql_ast.h"

enum { PARAMS_MAX = 1024 };

struct typing {
    struct arena *arena; /* borrowed */
    const struct sql_schema *schema;
    int64_t now_us;       /* for literals such as 'now' */
    bool can_see_all;     /* privileged views may be named */
    bool is_admin;        /* privileged functions may be called */
    enum pg_type *params; /* PARAMS_MAX of them; PG_UNKNOWN is to be found out */
    size_t param_count;   /* in: declared; out: highest number used or declared */
    uint64_t relations;   /* out: a bit for each relation named, by number */
};

/**
 * Complete the tree. On success every `emit` is set and s->columns tells names and types of the result;
 * what was undecided is text. E_UNDEF_…, E_AMBIGUOUS_…, E_DATATYPE, E_GROUPING and so on, with the place.
 */
MUST_CHECK enum code sql_type(struct typing *typing, struct select *s, struct sql_error *e);

#endif
