/**
 * The server side's context.
 */
#ifndef PGSEAL_TLS_SERVER_CONTEXT_H
#define PGSEAL_TLS_SERVER_CONTEXT_H

#include "tls/context.h"

struct tls_context;
struct tls_library;

/**
 * Build the context of the server side, with PostgreSQL's order of checks and messages.
 *
 * diags   receives warnings, e.g. about DH parameters that were not used.
 * [src: PostgreSQL 18, be_tls_init]
 */
MUST_CHECK enum code tls_server_context_new(struct tls_library *library,
                                            const struct tls_server_params *params, struct tls_context **out,
                                            struct diags *diags, struct err *e);

#endif
