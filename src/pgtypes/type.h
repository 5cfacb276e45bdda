/**
 * The table of types.
 */
#ifndef PGSEAL_PGTYPES_TYPE_H
#define PGSEAL_PGTYPES_TYPE_H

#include "base/err.h"

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

/** oid and the types that are one with a name. */
static inline bool pg_is_oid(enum pg_type type)
{
    return type == PG_OID || type == PG_REGPROC || type == PG_REGCLASS || type == PG_REGTYPE ||
           type == PG_REGNAMESPACE;
}

/** Never NULL. */
const struct pg_type_def *pg_type_def(enum pg_type type);
/** False for an OID that is not in types.def. 0 is none of them. */
bool pg_type_of_oid(uint32_t oid, enum pg_type *out);
/** By name of pg_type or by the words of the SQL standard ("integer"), lower case, without modifiers. */
bool pg_type_of_name(struct str name, enum pg_type *out);
/** The array type over `element`; false when there is none. */
bool pg_type_array_of(enum pg_type element, enum pg_type *out);

#endif
