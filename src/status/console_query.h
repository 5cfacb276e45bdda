/**
 * Statements, run: queries become jobs, all others happen here and now.
 */
#ifndef PGSEAL_STATUS_CONSOLE_QUERY_H
#define PGSEAL_STATUS_CONSOLE_QUERY_H

#include "status/console_impl.h"

/** Run a portal: either at once, or by setting up c->job and c->wait. */
void console_execute(struct console *c, struct portal *portal, int64_t limit, bool describe, struct buf *out);
/** Set up c->job to have a batch planned, which is taken. */
void console_plan(struct console *c, enum job_kind kind, struct batch *batch);
/** Begin a simple Query; it has been planned; take its next statement. */
void console_script_begin(struct console *c, struct str text, struct buf *out);
void console_script_planned(struct console *c, struct buf *out);
void console_script_step(struct console *c, struct buf *out);
/** Outside a transaction block, a transaction begins when the message came: after console_show_query(). */
void console_mark_time(struct console *c);
/** Such a statement is executed in a failed transaction, too. */
bool console_ends_failure(enum stmt_kind kind);

#endif
