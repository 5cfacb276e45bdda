/**
 * Whether text from a client is UTF-8, as PostgreSQL checks everything that comes in.
 */
#ifndef PGSEAL_STATUS_SQL_UTF8_H
#define PGSEAL_STATUS_SQL_UTF8_H

#include "base/err.h"

/** E_ENCODING with PostgreSQL's message, which names the bytes. A NUL is invalid too. */
MUST_CHECK enum code sql_utf8_check(struct str text, struct err *e);

#endif
