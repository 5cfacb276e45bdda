/**
 * What the files of the typer share. Everyone else includes typer.h.
 */
#ifndef PGSEAL_SQL_TYPER_IMPL_H
#define PGSEAL_SQL_TYPER_IMPL_H

#include "sql/typer.h"

/** A column that an expression may name. */
struct visible {
    struct str name;
    struct str table; /* alias of its relation; empty for a merged column of USING */
    enum pg_type type;
    struct str emit;
    bool hidden; /* merged away: only with its table's name */
    struct visible *next;
};

/** The columns of one query's FROM; what is not found there is looked for outside. */
struct scope {
    struct scope *outer;
    unsigned id;
    struct visible *columns;
    struct str *tables;
    size_t table_count;
    const char *no_aggregates; /* clause that allows none, e.g. "WHERE"; NULL: allowed */
    bool in_aggregate;
    struct select *select;
};

struct typer;

/** What is needed below itself: a subquery in an expression, an expression in a call. */
struct typer_rules {
    enum code (*expr)(struct typer *t, struct scope *scope, struct expr **slot);
    enum code (*select)(struct typer *t, struct scope *outer, struct select *s);
};

struct typer {
    const struct typer_rules *rules;
    struct typing *in;
    struct arena *arena;
    struct sql_error *e;
    struct with *withs[64]; /* those that may be named, innermost last */
    size_t with_count;
    unsigned next_id;
};

#endif
