/**
 * sslkeylogfile: the secrets of each session, in NSS's format, for whoever is to read a capture of it.
 */
#ifndef PGSEAL_TLS_KEYLOG_H
#define PGSEAL_TLS_KEYLOG_H

#include "tls/context_base.h"

/**
 * Append the secrets of every session of this client context to a file of mode 0600. NULL: none. E_CONFIG.
 */
MUST_CHECK enum code context_log_keys(struct tls_context *context, const char *path, struct err *e);

#endif
