/**
 * The verdict of one sslmode, by doing what libpq does.
 */
#ifndef PGSEAL_PROBE_MODE_H
#define PGSEAL_PROBE_MODE_H

#include "probe/probe_run.h"

/** The verdict of one sslmode, by doing what libpq does. */
MUST_CHECK enum code probe_mode(struct probe_run *run, enum sslmode mode, struct mode_verdict *out,
                                struct err *e);
/** Log in over the open connection as far as we may; `info` says as whom. LOGIN_LOST: the connection broke. */
enum login_step probe_mode_login(struct probe_run *run, const struct conninfo *info,
                                 struct login_drive **out_login, struct err *e);
/** `FATAL:  text` with its detail and hint, as libpq prints a server's error. */
struct str probe_mode_server_text(struct probe_run *run, const struct server_error *error,
                                  const struct err *e);

#endif
