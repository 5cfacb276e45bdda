/**
 * Diffie-Hellman parameters: from a file, or the 2048-bit group that PostgreSQL has built in.
 */
#ifndef PGSEAL_TLS_DH_H
#define PGSEAL_TLS_DH_H

#include "tls/context_base.h"

/** Use the DH group of a file, or the built-in one of RFC 3526 (2048 bits) for "". */
MUST_CHECK enum code dh_set(struct tls_context *context, struct tls_library *library, const char *file,
                            struct err *e);

#endif
