/**
 * The upstream server: what the gate's own settings say about it, and what its files must say about the gate.
 */
#ifndef PGSEAL_CMD_INIT_UPSTREAM_H
#define PGSEAL_CMD_INIT_UPSTREAM_H

#include "cmd/init.h"

/** Fill in upstream and everything that follows from it. `text` NULL: the default socket. */
MUST_CHECK enum code init_plan_upstream(struct init_plan *plan, const char *text, struct err *e);
/** Append a line. E_NOMEM. */
MUST_CHECK enum code init_line(struct init_plan *plan, struct init_lines *lines, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/** What the server's own files need, into hba, conf and sql. */
MUST_CHECK enum code init_plan_server(struct init_plan *plan, struct err *e);

#endif
