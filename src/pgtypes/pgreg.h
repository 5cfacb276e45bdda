/**
 * OIDs that are written as names: regclass, regtype, regproc, regnamespace.
 *
 * [src: PostgreSQL 18, "Object Identifier Types"]
 */
#ifndef PGSEAL_PGTYPES_PGREG_H
#define PGSEAL_PGTYPES_PGREG_H

#include "pgtypes/type.h"

struct buf;

/** What relations are called, in the order of their OIDs. NULL stands for none: a regclass is a number then. */
struct pg_relations {
    const char *const *names;
    size_t n;
};

enum { PGREG_ARRAY_IN = 750, PGREG_PG_CATALOG = 11, PGREG_PUBLIC = 2200 };
/** Relations are numbered from here, in the order in which they are handed in: above PostgreSQL's own and below what initdb
 * leaves to users. [src: FirstNormalObjectId] */
enum { PGREG_RELATION_BASE = 15000 };

/**
 * A number, or a name with or without its schema. E_UNDEF_TABLE, E_UNDEFINED, E_UNDEF_FUNCTION, E_NO_SCHEMA.
 */
MUST_CHECK enum code pgreg_read(const struct pg_relations *relations, enum pg_type type, struct str in,
                                uint32_t *out_oid, struct err *e);
/** The name; the number where there is none. */
void pgreg_write(struct buf *out, const struct pg_relations *relations, enum pg_type type, uint32_t oid);

#endif
