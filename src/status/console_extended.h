/**
 * Parse, Bind, Describe, Execute, Close.
 */
#ifndef PGSEAL_STATUS_CONSOLE_EXTENDED_H
#define PGSEAL_STATUS_CONSOLE_EXTENDED_H

#include "status/console_impl.h"

void console_parse(struct console *c, struct bytes body, struct buf *out);
/** The clerk has looked at it. */
void console_parsed(struct console *c, struct buf *out);
void console_bind(struct console *c, struct bytes body, struct buf *out);
void console_describe(struct console *c, struct bytes body, struct buf *out);
void console_run_portal(struct console *c, struct bytes body, struct buf *out);
void console_close_named(struct console *c, struct bytes body, struct buf *out);

#endif
