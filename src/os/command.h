/**
 * The first line a shell command prints: ssl_passphrase_command.
 * [src: PostgreSQL 18, "ssl_passphrase_command"; run_ssl_passphrase_command]
 */
#ifndef PGSEAL_OS_COMMAND_H
#define PGSEAL_OS_COMMAND_H

#include "base/err.h"

struct secret;

/**
 * Run `command` by the shell, with %p replaced by `prompt` and %% by %. Blocks until it ends.
 *
 * out  its first line without line end; wiped and empty on failure.
 *
 * E_IO: it could not be run, or failed; message and detail are PostgreSQL's.
 */
MUST_CHECK enum code os_command_line(const char *command, const char *prompt, struct secret *out,
                                     struct err *e);

#endif
