/**
 * PostgreSQL's types: their identity, and their values as text and as binary, both ways.
 *
 * Inside the engine a value is one of SQLite's storage classes: bool, integers, oid and xid are
 * integers; times are integer microseconds since 1970 UTC, dates days since 1970, intervals microseconds;
 * "char", numeric, inet and arrays are their canonical text.
 */
#ifndef PGSEAL_PGTYPES_PGTYPES_H
#define PGSEAL_PGTYPES_PGTYPES_H

#include "base/err.h"
#include "pgtypes/type.h"

struct arena;
struct buf;
struct pg_relations;

enum pg_format { PG_FORMAT_TEXT = 0, PG_FORMAT_BINARY = 1 };

enum datum_kind { DATUM_NULL, DATUM_INT, DATUM_REAL, DATUM_TEXT };

/** A value as the engine holds it; text is borrowed. */
struct datum {
    enum datum_kind kind;
    union {
        int64_t i;
        double real;
        struct str text;
    };
};

static inline struct datum datum_int(int64_t i)
{
    return (struct datum){ .kind = DATUM_INT, .i = i };
}

static inline struct datum datum_text(struct str s)
{
    return (struct datum){ .kind = DATUM_TEXT, .text = s };
}

/**
 * Read a type's text form.
 *
 * arena      receives texts that had to be rewritten.
 * now_us     what "now" and "today" mean.
 * relations  borrowed; may be NULL. See pgreg.h.
 *
 * E_TEXT_REP, E_RANGE, E_DATETIME with PostgreSQL's message. `out->text` may be `in` itself.
 */
struct pg_input {
    struct arena *arena;
    int64_t now_us;
    const struct pg_relations *relations;
};
MUST_CHECK enum code pg_text_read(const struct pg_input *env, enum pg_type type, struct str in,
                                  struct datum *out, struct err *e);
/** For readers: a text that was written again, moved to the arena. E_NOMEM, also where `text` has failed. */
MUST_CHECK enum code pg_text_keep(struct arena *arena, const struct buf *text, struct datum *out,
                                  struct err *e);
/** Append the text form of a value that is not NULL. */
void pg_text_write(struct buf *out, enum pg_type type, const struct datum *value,
                   const struct pg_relations *relations);

#endif
