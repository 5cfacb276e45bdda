/**
 * The binary form of types.
 */
#ifndef PGSEAL_PGTYPES_PGBINARY_H
#define PGSEAL_PGTYPES_PGBINARY_H

#include "pgtypes/pgtypes.h"

struct buf;

/** Read a type's binary form; E_BINARY_REP, or as above. */
MUST_CHECK enum code pg_binary_read(const struct pg_input *env, enum pg_type type, struct bytes in,
                                    struct datum *out, struct err *e);
/** Append the binary form of a value that is not NULL, without its length word. */
void pg_binary_write(struct buf *out, enum pg_type type, const struct datum *value);

#endif
