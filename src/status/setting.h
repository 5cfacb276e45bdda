/**
 * One setting by name: the session's own, or one of the gate's from pg_settings.
 */
#ifndef PGSEAL_STATUS_SETTING_H
#define PGSEAL_STATUS_SETTING_H

#include "base/err.h"

struct status_context;
struct buf;

/**
 * Append the value as SHOW writes it, with its unit ("1min"), and give the setting's proper name.
 *
 * out_name  borrowed from the rows; may be NULL.
 * E_UNDEFINED, E_ACCESS with PostgreSQL's message, or what the row source says.
 */
MUST_CHECK enum code setting_show(const struct status_context *cx, struct str name, struct buf *out,
                                  struct str *out_name, struct err *e);

#endif
