/**
 * The client side's context: of the gate's upstream leg, and of `probe`.
 */
#ifndef PGSEAL_TLS_CLIENT_CONTEXT_H
#define PGSEAL_TLS_CLIENT_CONTEXT_H

#include "tls/context.h"

struct tls_context;
struct tls_library;

/** Build the context of the client side; messages are libpq's [src: libpq, initialize_SSL]. */
MUST_CHECK enum code tls_client_context_new(struct tls_library *library,
                                            const struct tls_client_params *params, struct tls_context **out,
                                            struct err *e);

#endif
