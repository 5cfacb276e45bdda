/**
 * One-dimensional arrays in PostgreSQL's text form: {a,"b c",NULL}.
 */
#ifndef PGSEAL_PGTYPES_PGARRAY_H
#define PGSEAL_PGTYPES_PGARRAY_H

#include "base/err.h"

struct arena;
struct buf;

enum { PGARRAY_ITEMS_MAX = 65536 };

struct pgarray {
    struct str *items;
    bool *nulls;
    size_t count;
};

/** E_TEXT_REP `malformed array literal`, E_UNSUPPORTED for more dimensions, E_LIMIT, E_NOMEM. */
MUST_CHECK enum code pgarray_read(struct arena *arena, struct str in, struct pgarray *out, struct err *e);
/** Elements are quoted where PostgreSQL quotes them. `nulls` may be NULL: none is. */
void pgarray_write(struct buf *out, const struct str *items, const bool *nulls, size_t count);

#endif
