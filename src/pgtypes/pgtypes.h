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

struct arena;
struct buf;

enum pg_type {
#define X(id, oid, len, name, label, category, element) id,
#include "types.def"
#undef X
    PG_TYPE_COUNT
};

struct pg_type_def {
    enum pg_type id;
    uint32_t oid;
    int16_t length;    /* typlen */
    const char *name;  /* as in pg_type: "int4" */
    const char *label; /* as in messages and format_type(): "integer" */
    char category;     /* typcategory */
    enum pg_type element;
};

enum pg_format { PG_FORMAT_TEXT = 0, PG_FORMAT_BINARY = 1 };

/** Never NULL. */
const struct pg_type_def *pg_type_def(enum pg_type type);
/** oid and the types that are one with a name. */
static inline bool pg_is_oid(enum pg_type type)
{
    return type == PG_OID || type == PG_REGPROC || type == PG_REGCLASS || type == PG_REGTYPE ||
           type == PG_REGNAMESPACE;
}
/** False for an OID that is not in types.def. 0 is none of them. */
bool pg_type_of_oid(uint32_t oid, enum pg_type *out);
/** By name of pg_type or by the words of the SQL standard ("integer"), lower case, without modifiers. */
bool pg_type_of_name(struct str name, enum pg_type *out);
/** The array type over `element`; false when there is none. */
bool pg_type_array_of(enum pg_type element, enum pg_type *out);

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
 * arena    receives texts that had to be rewritten.
 * now_us   what "now" and "today" mean.
 *
 * E_TEXT_REP, E_RANGE, E_DATETIME with PostgreSQL's message. `out->text` may be `in` itself.
 */
struct pg_input {
    struct arena *arena;
    int64_t now_us;
};
MUST_CHECK enum code pg_text_read(const struct pg_input *env, enum pg_type type, struct str in,
                                  struct datum *out, struct err *e);
/** Read a type's binary form; E_BINARY_REP, or as above. */
MUST_CHECK enum code pg_binary_read(const struct pg_input *env, enum pg_type type, struct bytes in,
                                    struct datum *out, struct err *e);
/** Append the text form of a value that is not NULL. */
void pg_text_write(struct buf *out, enum pg_type type, const struct datum *value);
/** Append the binary form of a value that is not NULL, without its length word. */
void pg_binary_write(struct buf *out, enum pg_type type, const struct datum *value);

#endif
