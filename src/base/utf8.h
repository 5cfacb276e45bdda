/**
 * UTF-8 as of RFC 3629: shortest forms only, no surrogates, nothing above U+10FFFF.
 *
 * [src: PostgreSQL 18, pg_utf8_islegal]
 */
#ifndef PGSEAL_BASE_UTF8_H
#define PGSEAL_BASE_UTF8_H

#include "base/slice.h"

#include <stdint.h>

/** Bytes of the character that begins with `lead`; 0: none does, or it is NUL. */
size_t utf8_size_of(unsigned char lead);
/** Bytes of the valid character in front of a text that is not empty; 0: there is none. */
size_t utf8_front(struct str text);
/** Its code point; only where utf8_front() is not 0. */
uint32_t utf8_code(struct str text);

#endif
