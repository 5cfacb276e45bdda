/**
 * Text of files on a terminal: folded at blanks, and without bytes that a terminal obeys.
 */
#ifndef PGSEAL_CMD_FOLD_H
#define PGSEAL_CMD_FOLD_H

#include "base/slice.h"

#include <stdio.h>

/** A text that may hold anything, its control bytes as \xNN; returns the columns it takes. */
size_t fold_word(FILE *out, struct str word);
/** A line after its label, folded at blanks. */
void fold_print(FILE *out, const char *label, struct str text);

#endif
