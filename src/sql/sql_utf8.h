/**
 * Whether text from a client is UTF-8, as PostgreSQL checks everything that comes in.
 */
#ifndef PGSEAL_SQL_SQL_UTF8_H
#define PGSEAL_SQL_SQL_UTF8_H

#include "base/err.h"

struct buf;

/** E_ENCODING with PostgreSQL's message, which names the bytes. A NUL is invalid too. */
MUST_CHECK enum code sql_utf8_check(struct str text, struct err *e);

/**
 * Append the text with every byte that does not belong to a valid character as \xNN: what clients send (a
 * server name, a user) must not make a row unreadable.
 */
void sql_utf8_clean(struct buf *out, struct str text);

#endif
