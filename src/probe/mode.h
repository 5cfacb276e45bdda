/**
 * The verdict of one sslmode, by doing what libpq does.
 */
#ifndef PGSEAL_PROBE_MODE_H
#define PGSEAL_PROBE_MODE_H

#include "probe/look.h"

/** options with one sslmode, as a connection would have them. E_PARAM with libpq's text. */
MUST_CHECK enum code look_conninfo(const struct look *look, enum sslmode mode, struct conninfo *out,
                                   struct err *e);
/** The verdict of one sslmode, by doing what libpq does. */
MUST_CHECK enum code look_mode(struct look *look, enum sslmode mode, struct mode_verdict *out, struct err *e);
/** Log in over the open connection as far as we may; `info` says as whom. LOGIN_LOST: the connection broke. */
enum login_step look_login(struct look *look, const struct conninfo *info, struct login_drive **out_login,
                           struct err *e);
/** `FATAL:  text` with its detail and hint, as libpq prints a server's error. */
struct str look_server_text(struct look *look, const struct server_error *error, const struct err *e);

#endif
