/**
 * SASLprep of passwords, with PostgreSQL's way out: what it rejects is used as it came.
 *
 * Pure ASCII stays untouched. Otherwise: UTF-8 → spaces and nothings mapped → checked for prohibited,
 * unassigned (Unicode 3.2) and bidi violations → NFKC. Any rejection gives the raw bytes, when a secret is
 * made and when it is checked alike, so a password of another encoding still works between PostgreSQL's own
 * clients [src: RFC 4013; PostgreSQL 18, saslprep.c].
 */
#ifndef PGSEAL_AUTH_SASLPREP_H
#define PGSEAL_AUTH_SASLPREP_H

#include "base/buf.h"
#include "base/secret.h"

/** Longest result: NFKC makes at most eleven bytes of UTF-8 from one [src: UTR 36, §3.3]. */
enum { SASLPREP_MAX = 11 * PASSWORD_MAX };

/**
 * password  borrowed, no NUL inside.
 * out       receives the prepared or the raw bytes, appended; a secret: release it with buf_fini_secret().
 *           Its limit should be SASLPREP_MAX.
 *
 * E_LIMIT: longer than PASSWORD_MAX, or hundreds of marks in a row, on which normalizing takes too long
 * [choice: unauthenticated clients send passwords]. E_NOMEM.
 */
MUST_CHECK enum code saslprep(struct bytes password, struct buf *out);

#endif
