/**
 * Characters that a screen does not show, or shows as another: byte order marks, no-break spaces, typographic
 * quotes and dashes. Files get them from word processors and web pages; an error that quotes the text looks
 * faultless then, so its hint names them.
 */
#ifndef PGSEAL_BASE_UNSEEN_H
#define PGSEAL_BASE_UNSEEN_H

#include "base/slice.h"

enum { UNSEEN_TEXT_MAX = 160 };

/** Where a text was found, for the sentence. */
enum unseen_place {
    UNSEEN_FIRST_LINE, /* the first line of a file */
    UNSEEN_LINE,       /* another one */
    UNSEEN_NAME,       /* a setting's name */
    UNSEEN_VALUE,      /* a setting's value */
};

/**
 * Write a sentence about the first such character: "Column 8 is a no-break space (U+00A0): write a plain
 * space." False, and `out` is empty, when there is none. UTF-8 is expected; single bytes of Windows-1252 are
 * known as well.
 */
bool unseen_describe(struct str text, enum unseen_place place, char out[UNSEEN_TEXT_MAX]);

#endif
