/**
 * What statements are about, handed in by whoever has the facts: relations, their columns, and values of rows.
 */
#ifndef PGSEAL_SQL_RELATION_H
#define PGSEAL_SQL_RELATION_H

#include "base/err.h"
#include "pgtypes/pgtypes.h"

struct db_context;
struct db_function;

enum cell_kind { CELL_NULL, CELL_INT, CELL_TEXT, CELL_TEXTS };

/**
 * One value. Texts are borrowed from the source and live as long as it; bytes that are not UTF-8 are shown as
 * \xNN.
 * CELL_INT: bool (0, 1), int2, int4, int8, oid, xid, timestamptz (microseconds since 1970 UTC).
 * CELL_TEXT: text, name, "char", numeric (decimal digits), inet (without /32 or /128 for hosts).
 * CELL_TEXTS: text[].
 */
struct cell {
    enum cell_kind kind;
    union {
        int64_t i;
        struct str text;
        struct {
            const struct str *items;
            size_t count;
        } texts;
    };
};

static inline struct cell cell_int(int64_t i)
{
    return (struct cell){ .kind = CELL_INT, .i = i };
}

static inline struct cell cell_bool(bool b)
{
    return cell_int(b ? 1 : 0);
}

static inline struct cell cell_text(struct str s)
{
    return (struct cell){ .kind = CELL_TEXT, .text = s };
}

/** NULL for an empty text: for facts whose absence is kept as an empty string. */
static inline struct cell cell_text_or_null(struct str s)
{
    return s.n ? cell_text(s) : (struct cell){ .kind = CELL_NULL };
}

static inline struct cell cell_c(const char *c)
{
    return c ? cell_text(str_c(c)) : (struct cell){ .kind = CELL_NULL };
}

static inline struct cell cell_texts(const struct str *items, size_t count)
{
    return (struct cell){ .kind = CELL_TEXTS, .texts = { items, count } };
}

struct column_def {
    const char *name;
    enum pg_type type;
    const char *help;
};

enum { RELATION_COLUMNS_MAX = 40 };

/** Who may name a relation; others get 42501. */
enum relation_readers { READERS_ALL, READERS_PRIVILEGED, READERS_ADMIN };

struct relation_def {
    const char *name;
    enum relation_readers readers;
    bool small; /* a few hundred rows at most, for the planner */
    const struct column_def *columns;
    size_t column_count; /* at most RELATION_COLUMNS_MAX */
};

/** A function without arguments in FROM that stands for a relation. */
struct relation_call {
    const char *name;
    unsigned relation;
};

/** All that statements may name. Constant; at most 64 relations. */
struct sql_schema {
    const struct relation_def *relations;
    size_t relation_count;
    const struct pg_relations *names; /* the same, for regclass */
    const struct relation_call *calls;
    size_t call_count;
    const struct db_function *functions; /* of its own, beside sql's; ends with a row of NULLs */
    unsigned settings;                   /* the relation behind SHOW and current_setting() */
    /** The spelling that SHOW uses as a column's name; `name` itself where nothing better is known. */
    struct str (*setting_name)(struct str name);
    /** Number of rows; a failure ends the statement with *e. */
    enum code (*count)(const struct db_context *cx, unsigned relation, size_t *out, struct err *e);
    /**
     * Fill a row; all cells come as NULL. What they borrow lives as long as the statement. False: the reader may
     * not see it, or there is none.
     */
    bool (*load)(const struct db_context *cx, unsigned relation, size_t row, struct cell *cells);
};

#endif
