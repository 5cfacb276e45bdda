/**
 * The contract between the status database and those who know something: views, their columns, and where
 * rows come from.
 *
 * views.def is the only definition. Who has the facts fills one struct per row, with one named cell per
 * column: a column that is renamed there does not compile here.
 */
#ifndef PGSEAL_SQL_ROWS_H
#define PGSEAL_SQL_ROWS_H

#include "base/err.h"
#include "pgtypes/pgtypes.h"

enum view {
#define VIEW(id, name, schema, access, help) VIEW_##id,
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END
    VIEW_COUNT
};

/** A set of views, as a bit per enumerator. */
#define VIEW_BIT(view) (UINT64_C(1) << (unsigned)(view))

enum view_schema { SCHEMA_CATALOG, SCHEMA_PUBLIC };

/** Who may read which rows. [src: PostgreSQL 18, "Viewing Statistics", "System Views"] */
enum view_access {
    ACCESS_ALL,        /* everybody, all rows */
    ACCESS_OWN,        /* rows of other users' sessions are absent */
    ACCESS_MASK,       /* rows of other users' sessions show who, not what (pg_stat_activity) */
    ACCESS_PRIVILEGED, /* admin_users and stats_users only, else 42501 */
    ACCESS_ADMIN,      /* admin_users only, else 42501: what PostgreSQL shows to superusers only */
    ACCESS_SETTINGS,   /* restricted rows are absent, source file and line are NULL */
    ACCESS_BUILTIN     /* everybody; made inside status, never asked of a source */
};

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

/* struct row_pg_stat_ssl { struct cell pid; struct cell ssl; … }; and so on, one per view */
#define VIEW(id, name, schema, access, help) struct row_##name {
#define COL(view, column, type, help) struct cell column;
#define END(view)                                                                                            \
    }                                                                                                        \
    ;
#include "views.def"
#undef VIEW
#undef COL
#undef END

enum { VIEW_COLUMNS_MAX = 40 };

/** A row being filled; `cells` is the same memory by position. */
union view_row {
#define VIEW(id, name, schema, access, help) struct row_##name name;
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END
    struct cell cells[VIEW_COLUMNS_MAX];
};

/** Whom a row belongs to; all zero means nobody in particular. */
struct row_rights {
    struct str owner; /* user of the session the row is about (ACCESS_OWN, ACCESS_MASK) */
    bool restricted;  /* hidden from ordinary users (ACCESS_SETTINGS) */
};

/**
 * Where rows come from: an immutable snapshot and how to walk it.
 *
 * One thread at a time uses a source, not always the same one. Nothing here may block.
 */
struct row_source {
    void *ctx; /* taken with the source */
    /** Number of rows. A failure (a file that cannot be opened) ends the statement with *e. */
    enum code (*count)(void *ctx, enum view view, size_t *out, struct err *e);
    /** Fill row `index`; all cells come as NULL, `rights` as zero. */
    void (*fill)(void *ctx, enum view view, size_t index, union view_row *out, struct row_rights *rights);
    /** Called once, when nothing borrows from the source any more. May be NULL. */
    void (*release)(void *ctx);
};

struct column_def {
    const char *name;
    enum pg_type type;
    const char *help;
};

struct view_def {
    enum view id;
    const char *name;
    enum view_schema schema;
    enum view_access access;
    const char *help;
    const struct column_def *columns;
    size_t column_count;
};

#endif
