/**
 * The tree of a statement: what sql_parse() builds, sql_type() completes and sql_emit() writes as SQLite.
 */
#ifndef PGSEAL_SQL_SQL_AST_H
#define PGSEAL_SQL_SQL_AST_H

#include "pgtypes/pgtypes.h"
#include "sql/relation.h"
#include "sql/sql_lex.h"

struct select;

enum expr_kind {
    EXPR_CONST,
    EXPR_PARAM,
    EXPR_COLUMN,
    EXPR_STAR,  /* * or table.*, only in a select list */
    EXPR_CALL,  /* functions; after typing also operators and casts that SQLite has no operator for */
    EXPR_INFIX, /* two operands and an operator; one operand: prefix */
    EXPR_AND,   /* any number of operands */
    EXPR_OR,
    EXPR_NOT,
    EXPR_IS,      /* [NOT] NULL, TRUE, FALSE, UNKNOWN */
    EXPR_BETWEEN, /* first argument BETWEEN second AND third */
    EXPR_IN,      /* first argument IN (the others, or select) */
    EXPR_ANY,     /* first argument OPERATOR ANY or ALL (second argument, or select) */
    EXPR_CASE,    /* arguments: [operand,] when, then, …; `otherwise` */
    EXPR_CAST,    /* one argument, to `type` */
    EXPR_SELECT,  /* a subquery's one value */
    EXPR_EXISTS,
    EXPR_ARRAY
};

enum is_test { IS_NULL, IS_TRUE, IS_FALSE, IS_UNKNOWN };

struct order;

/** OVER (PARTITION BY … ORDER BY …) */
struct window {
    struct expr *partition;
    struct order *order;
};

struct expr {
    enum expr_kind kind;
    uint32_t at;
    enum pg_type type; /* PG_UNKNOWN until known; of a cast: its goal */
    struct expr *next; /* in the list it is in */
    struct str name;   /* column, function or operator */
    struct str table;  /* qualifier of a column or star */
    struct expr *args;
    struct expr *last_arg; /* while parsing */
    size_t arg_count;
    struct expr *otherwise; /* CASE … ELSE */
    struct expr *filter;    /* aggregate FILTER (WHERE …) */
    struct window *over;
    struct select *select;
    struct datum value;
    uint32_t param; /* from 1 */
    enum is_test test;
    bool negated;     /* IS NOT, NOT IN, NOT BETWEEN */
    bool distinct;    /* in an aggregate's arguments */
    bool star;        /* count(*) */
    bool has_operand; /* CASE x WHEN … */
    bool all;         /* EXPR_ANY: ALL */
    bool aggregate;   /* set by typing */
    unsigned scope;   /* set by typing: the query whose FROM the column comes from */
    struct str emit;  /* set by typing: SQLite's column, function or operator */
};

struct target {
    struct expr *expr;
    struct str name; /* alias as given, else PostgreSQL's choice */
    bool named;      /* an alias was given */
    struct target *next;
};

struct order {
    struct expr *expr;
    uint32_t at;
    bool desc;
    bool nulls_first;
    size_t position; /* set by typing: output column from 1, 0: by expression */
    struct order *next;
};

enum from_kind { FROM_TABLE, FROM_SELECT, FROM_CALL, FROM_JOIN };
enum join_kind { JOIN_CROSS, JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL };

struct name_list {
    struct str *items;
    size_t count;
};

/** A column that a relation or a subquery gives. */
struct column {
    struct str name;
    enum pg_type type;
    struct str emit; /* how SQLite calls it, within its relation */
};

struct with {
    struct str name;
    uint32_t at;
    struct name_list columns; /* as given */
    struct select *select;
    unsigned id; /* set by typing */
    const struct column *out;
    size_t out_count;
    bool usable; /* typed so far that it may be named */
    struct with *next;
};

struct from {
    enum from_kind kind;
    uint32_t at;
    struct str schema;
    struct str name;
    struct str alias;
    struct name_list columns; /* alias (a, b, …) */
    struct select *select;
    struct expr *call;
    struct from *next; /* comma list */
    /* FROM_JOIN */
    enum join_kind join;
    bool natural;
    struct from *left;
    struct from *right;
    struct expr *on;
    struct name_list using_names;
    /* set by typing */
    unsigned id;
    const struct relation_def *relation;
    const struct with *with; /* NULL: a relation */
};

enum select_kind { SELECT_PLAIN, SELECT_VALUES, SELECT_SET };
enum set_op { SET_UNION, SET_INTERSECT, SET_EXCEPT };

struct values_row {
    struct expr *items;
    size_t count;
    struct values_row *next;
};

struct select {
    enum select_kind kind;
    uint32_t at;
    struct with *with;
    bool recursive;
    /* SELECT_PLAIN */
    bool distinct;
    struct target *targets;
    struct from *from;
    struct expr *where;
    struct expr *group;
    struct expr *having;
    /* SELECT_VALUES */
    struct values_row *rows;
    /* SELECT_SET */
    enum set_op op;
    bool all;
    struct select *left;
    struct select *right;
    /* any */
    struct order *order;
    struct expr *limit;
    struct expr *offset;
    /* set by typing */
    struct column *columns;
    size_t column_count;
    unsigned id;
    bool grouped; /* has GROUP BY, HAVING or an aggregate */
};

enum stmt_kind {
    STMT_EMPTY,
    STMT_SELECT,
    STMT_SHOW,
    STMT_SET,
    STMT_RESET,
    STMT_BEGIN,
    STMT_COMMIT,
    STMT_ROLLBACK,
    STMT_SAVEPOINT,
    STMT_RELEASE,
    STMT_ROLLBACK_TO,
    STMT_DISCARD,
    STMT_DECLARE,
    STMT_FETCH,
    STMT_CLOSE,
    STMT_COPY,
    STMT_DEALLOCATE,
    STMT_NOTHING,  /* accepted, does nothing: `name` is the tag */
    STMT_READ_ONLY /* known, but it writes: `name` is the tag */
};

enum copy_format { COPY_TEXT, COPY_CSV };

struct copy_options {
    enum copy_format format;
    bool header;
    bool null_set;
    char delimiter; /* '\0': the format's own */
    struct str null_text;
};

struct stmt {
    enum stmt_kind kind;
    struct str text; /* as written, without the semicolon */
    uint32_t at;
    struct str name;  /* setting, cursor, prepared statement or savepoint; empty: ALL */
    struct str value; /* of SET */
    bool to_default;  /* SET x TO DEFAULT */
    bool local;       /* SET LOCAL */
    bool move;        /* MOVE, not FETCH */
    bool hold;        /* DECLARE … WITH HOLD */
    bool chain;       /* COMMIT AND CHAIN */
    int64_t count;    /* FETCH: rows, INT64_MAX: ALL */
    struct select *select;
    struct copy_options copy;
    struct stmt *next;
};

#endif
