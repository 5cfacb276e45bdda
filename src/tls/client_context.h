/**
 * The client side's context: of the gate's upstream connections, and of `probe`.
 */
#ifndef PGSEAL_TLS_CLIENT_CONTEXT_H
#define PGSEAL_TLS_CLIENT_CONTEXT_H

#include "tls/context.h"

struct tls_context;
struct tls_library;

/** Members of struct tls_client_params for who only looks: nothing is verified, nothing shown of one's own. */
#define TLS_CLIENT_LOOKS                                                                                     \
    .root_file = "", .crl_file = "", .crl_dir = "", .cert_file = "", .key_file = "", .no_prompt = true,      \
    .any_version = true

/** Build the context of the client side; messages are libpq's [src: libpq, initialize_SSL]. */
MUST_CHECK enum code tls_client_context_new(struct tls_library *library,
                                            const struct tls_client_params *params, struct tls_context **out,
                                            struct err *e);

#endif
