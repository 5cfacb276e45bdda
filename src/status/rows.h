/**
 * The contract between the status database and those who know something: views, their columns, and where
 * rows come from.
 *
 * views.def is the only definition. Who has the facts fills one struct per row, with one named cell per
 * column: a column that is renamed there does not compile here.
 */
#ifndef PGSEAL_STATUS_ROWS_H
#define PGSEAL_STATUS_ROWS_H

#include "base/err.h"
#include "sql/relation.h"

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

enum { VIEW_COLUMNS_MAX = RELATION_COLUMNS_MAX };

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
