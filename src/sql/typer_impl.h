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

struct typer {
    struct typing *in;
    struct arena *arena;
    struct sql_error *e;
    struct with *withs[64]; /* those that may be named, innermost last */
    size_t with_count;
    unsigned next_id;
};

/* ---- typer_select.c ---- */

MUST_CHECK enum code type_select(struct typer *t, struct scope *outer, struct select *s);
/** Columns of unknown type become text. */
MUST_CHECK enum code type_settle(struct typer *t, struct select *s);
/** Make output column `i` of a query be of `type`. */
MUST_CHECK enum code type_output(struct typer *t, struct select *s, size_t i, enum pg_type type);

/* ---- typer_from.c ---- */

MUST_CHECK enum code type_from(struct typer *t, struct scope *scope, struct from *list);
/** Turn a column's name into SQLite's. */
MUST_CHECK enum code type_column(struct typer *t, struct scope *scope, struct expr **slot);
/** Replace * and table.* in a select list. */
MUST_CHECK enum code type_expand(struct typer *t, struct scope *scope, struct target **list);

/* ---- typer_expr.c ---- */

MUST_CHECK enum code type_expr(struct typer *t, struct scope *scope, struct expr **slot);
/** An expression that must be boolean; `clause` for the message. */
MUST_CHECK enum code type_condition(struct typer *t, struct scope *scope, struct expr **slot,
                                    const char *clause);
MUST_CHECK enum code type_args(struct typer *t, struct scope *scope, struct expr *e);
/** True when two typed expressions are the same. */
bool type_equal(const struct expr *a, const struct expr *b);

/* ---- typer_coerce.c ---- */

/** The type that both can become without being asked; false when there is none. */
bool type_common(enum pg_type a, enum pg_type b, enum pg_type *out);
bool type_implicit(enum pg_type from, enum pg_type to);
/** Make the expression be of `type`; literals are read now. The conversion must be a known one. */
MUST_CHECK enum code type_coerce(struct typer *t, struct expr **slot, enum pg_type type);
/** Make it the text that a client would see, which for booleans is not what a cast gives. */
MUST_CHECK enum code type_as_shown(struct typer *t, struct expr **slot);
MUST_CHECK enum code type_cast(struct typer *t, struct expr **slot);
/** Bring all expressions of a list to their common type; `what` for the message. */
MUST_CHECK enum code type_unify(struct typer *t, struct expr **list, const char *what, enum pg_type *out);
struct expr *type_const_int(struct typer *t, int64_t v);
/** Put `new` where *slot is, keeping the list. */
void type_replace(struct expr **slot, struct expr *new_expr);
enum code type_nomem(struct typer *t);

/* ---- typer_ops.c, typer_func.c ---- */

MUST_CHECK enum code type_infix(struct typer *t, struct scope *scope, struct expr **slot);
MUST_CHECK enum code type_any(struct typer *t, struct scope *scope, struct expr **slot);
MUST_CHECK enum code type_call(struct typer *t, struct scope *scope, struct expr **slot);

#endif
