/**
 * What the gate knows of a client's statements: their text, and what the clerk says of it.
 *
 * A text of one or more statements is one batch, shared by the prepared statement, the portals and the cursors
 * made of it.
 */
#ifndef PGSEAL_STATUS_STATEMENT_H
#define PGSEAL_STATUS_STATEMENT_H

#include "base/arena.h"
#include "pgtypes/pgtypes.h"
#include "sql/plan.h"

struct batch;
struct wr;

/** A column of a result. */
struct result_column {
    struct str name; /* without NUL bytes */
    enum pg_type type;
};

struct statement {
    struct batch *batch; /* it is of */
    enum stmt_kind kind;
    struct str text;  /* as written, without the semicolon */
    struct str name;  /* setting, cursor, prepared statement, savepoint, or tag; a C string too; empty: ALL */
    struct str value; /* of SET; a C string too */
    bool to_default;  /* SET x TO DEFAULT */
    bool local;       /* SET LOCAL */
    bool move;        /* MOVE, not FETCH */
    bool hold;        /* DECLARE … WITH HOLD */
    bool chain;       /* COMMIT AND CHAIN */
    int64_t count;    /* FETCH: rows, INT64_MAX: ALL */
    const struct result_column *columns;
    size_t column_count;
    const enum pg_type *params;
    size_t param_count;
    uint64_t views; /* VIEW_BIT set of what it reads */
};

struct batch {
    bool no_memory; /* for what the clerk says of it */
    int refs;       /* only the session's thread counts */
    struct arena arena;
    struct str name;    /* of the prepared statement; empty: unnamed */
    struct str text;    /* whole, as the client sent it */
    int64_t planned_us; /* what 'now' in a literal means */
    size_t written;     /* statements in the text; 0: it could not be read */
    struct statement *items;
    size_t count;           /* of those that were planned: the first `count` */
    struct sql_error error; /* of the one after them, if error.err.code is not OK */
};

/** With one reference; `name` and `text` are copied. NULL when memory ran out. */
struct batch *batch_new(struct str name, struct str text);
struct batch *batch_ref(struct batch *batch);
/** NULL is fine. */
void batch_unref(struct batch *batch);
/** Bytes that it holds. */
size_t batch_size(const struct batch *batch);

/** In the gate: take the clerk's answer ('p') in. E_BAD_STATE: it is malformed. E_NOMEM. */
MUST_CHECK enum code batch_read(struct batch *batch, struct bytes body, struct err *e);
/** In the clerk: append what batch_read() reads. `at` of a statement's text in the whole. */
void batch_put_head(struct wr *w, size_t written, size_t planned);
void batch_put_statement(struct wr *w, const struct plan *plan, struct str whole);
void batch_put_tail(struct wr *w, const struct sql_error *error);

#endif
