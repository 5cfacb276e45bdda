/**
 * Prepared statements, portals and cursors by name.
 */
#ifndef PGSEAL_STATUS_CONSOLE_PORTAL_H
#define PGSEAL_STATUS_CONSOLE_PORTAL_H

#include "status/console_impl.h"

struct portal *portal_find(struct console *c, struct str name);
/** The statement's batch is referenced. */
MUST_CHECK enum code portal_new(struct console *c, struct str name, const struct statement *statement,
                                struct portal **out, struct err *e);
/** It has given all its rows. */
void portal_done(struct console *c, struct portal *portal);
void portal_free(struct console *c, struct portal *portal);
/** All of them, or all but those that outlive a transaction. */
void portal_free_all(struct console *c, bool also_held);
struct prepared *prepared_find(struct console *c, struct str name);
/** `batch` is taken. */
MUST_CHECK enum code prepared_add(struct console *c, struct batch *batch, struct err *e);
void prepared_free(struct console *c, struct prepared *p);
void prepared_free_all(struct console *c);
/** RowDescription, or NoData. */
void portal_describe(struct buf *out, const struct statement *statement, const enum pg_format *formats);
/** The statement whose columns are returned: itself, or for FETCH the cursor's; NULL when there are none. */
const struct statement *console_result_of(struct console *c, const struct statement *statement);

#endif
