/**
 * What a console says to its client, whatever it is about.
 */
#ifndef PGSEAL_STATUS_CONSOLE_REPLY_H
#define PGSEAL_STATUS_CONSOLE_REPLY_H

#include "status/console_impl.h"

/**
 * Report an error: ErrorResponse, transaction state, and either the end of the script or skipping to Sync.
 */
void console_error(struct console *c, const struct sql_error *e, struct str text, struct buf *out);
void console_error_plain(struct console *c, const struct err *e, struct buf *out);
void console_complete(struct buf *out, const char *tag);
void console_warn(struct buf *out, enum code code, const char *text);
/** The answer is complete: portals of the moment end, changed settings are told, ReadyForQuery. */
void console_ready(struct console *c, struct buf *out);
/** A message begins to be worked on: what it is about, for pg_stat_activity. */
void console_show_query(struct console *c, struct str text);
int64_t console_now(const struct console *c);
void console_script_end(struct console *c, struct buf *out);

/** The CommandComplete of the job at hand. */
void console_job_complete(struct console *c, struct buf *out);

#endif
