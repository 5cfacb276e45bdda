/**
 * Base64 as PostgreSQL reads and writes it: padded, without blanks or line breaks.
 */
#ifndef PGSEAL_BASE_BASE64_H
#define PGSEAL_BASE_BASE64_H

#include "base/buf.h"

/** Most bytes that `n` characters can stand for. */
#define BASE64_DECODED_MAX(n) ((n) / 4 * 3 + 3)
/** Characters that `n` bytes take. */
#define BASE64_ENCODED(n) (((n) + 2) / 3 * 4)

/** Append the text of `data`. False as the other appends of buf. */
bool base64_encode(struct bytes data, struct buf *out);
/**
 * Decode `text` into out[size].
 *
 * Space, tab, CR and LF are skipped; bits after the last byte are ignored; a missing pad is an error, as is
 * any other character or a result that does not fit. `out` may be written to on failure; *out_n is not. [src:
 * PostgreSQL 18, base64.c pg_b64_decode]
 */
bool base64_decode(struct str text, uint8_t *out, size_t size, size_t *out_n);

#endif
