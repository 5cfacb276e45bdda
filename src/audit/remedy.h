/**
 * Statements that make a connection verified in full, with what is known filled in.
 *
 * CA_FILE stands for the file of the CA where none is set. Passwords are not seen and so not repeated: a statement
 * that replaces a whole connection string says so.
 */
#ifndef PGSEAL_AUDIT_REMEDY_H
#define PGSEAL_AUDIT_REMEDY_H

#include "client/conninfo.h"

/** ALTER SUBSCRIPTION. `database`: where it must be run. E_NOMEM. */
MUST_CHECK enum code remedy_subscription(struct str name, struct str database,
                                         const struct conn_options *options, struct arena *arena,
                                         struct str *out);
/** ALTER SERVER. E_NOMEM. */
MUST_CHECK enum code remedy_server(struct str name, const struct conn_options *options, struct arena *arena,
                                   struct str *out);
/** ALTER USER MAPPING; `user` is public for PUBLIC. E_NOMEM. */
MUST_CHECK enum code remedy_mapping(struct str user, struct str server, const struct conn_options *options,
                                    struct arena *arena, struct str *out);
/** ALTER SYSTEM SET primary_conninfo. E_NOMEM. */
MUST_CHECK enum code remedy_standby(const struct conn_options *options, struct arena *arena, struct str *out);

/** A name in double quotes. False when memory ran out. */
bool remedy_name(struct str text, struct arena *arena, struct str *out);

#endif
