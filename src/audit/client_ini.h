/**
 * Files with [sections] and NAME = VALUE lines: service files and pgbouncer.ini.
 */
#ifndef PGSEAL_AUDIT_CLIENT_INI_H
#define PGSEAL_AUDIT_CLIENT_INI_H

#include "audit/client_files.h"

/** As libpq reads it. [src: PostgreSQL 18, "The Connection Service File"] E_NOMEM. */
MUST_CHECK enum code client_ini_service(struct str text, struct client_items *items);
/** As PgBouncer reads it. [src: PgBouncer 1.24, "config"] E_NOMEM. */
MUST_CHECK enum code client_ini_pgbouncer(struct str text, struct client_items *items);
/** pgbackrest.conf: what it is set to, by "pgbackrest.OPTION". */
MUST_CHECK enum code client_ini_pgbackrest(struct str text, struct client_items *items);

#endif
