/**
 * Exact decimals as text: serial numbers of certificates do not fit in 64 bits.
 *
 * The canonical text is [-]digits[.digits]; the number of decimals is part of the value, as in PostgreSQL.
 */
#ifndef PGSEAL_PGTYPES_PGNUMERIC_H
#define PGSEAL_PGTYPES_PGNUMERIC_H

#include "base/err.h"

struct buf;

enum { PGNUMERIC_DIGITS_MAX = 1000 };

/** Bring any accepted spelling (blanks, sign, exponent) into canonical text; false for no number. */
bool pgnumeric_read(struct str in, struct buf *out);
/** Order of two canonical texts; NaN sorts last. */
int pgnumeric_compare(struct str a, struct str b);

enum numeric_op { NUMERIC_ADD, NUMERIC_SUB, NUMERIC_MUL, NUMERIC_DIV, NUMERIC_MOD };
/** Append the result. E_DIVISION, E_RANGE (too long), E_NOMEM. */
MUST_CHECK enum code pgnumeric_compute(enum numeric_op op, struct str a, struct str b, struct buf *out);

enum numeric_rounding { NUMERIC_ROUND, NUMERIC_TRUNC, NUMERIC_FLOOR, NUMERIC_CEIL };
/** Append `a` with `places` decimals. */
MUST_CHECK enum code pgnumeric_round(struct str a, enum numeric_rounding rounding, unsigned places,
                                     struct buf *out);
/** The binary form: groups of four decimal digits. */
void pgnumeric_write_binary(struct buf *out, struct str a);
MUST_CHECK enum code pgnumeric_read_binary(struct bytes in, struct buf *out);

#endif
