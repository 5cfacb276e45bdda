/**
 * Connection strings and environment variables in texts of any kind.
 */
#ifndef PGSEAL_AUDIT_CLIENT_TEXT_H
#define PGSEAL_AUDIT_CLIENT_TEXT_H

#include "audit/client_files.h"

/** Lines NAME=VALUE: PG* variables are one connection, and what other strings leave open. E_NOMEM. */
MUST_CHECK enum code client_text_environment(struct str text, enum pasted_driver driver,
                                             struct client_items *items);
/** What looks like a connection string, or switches verification off. E_NOMEM. */
MUST_CHECK enum code client_text_scan(struct str name, struct str text, enum pasted_driver driver,
                                      struct client_items *items);

#endif
