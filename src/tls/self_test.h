/**
 * One handshake in memory: a context that cannot serve never replaces one that does.
 */
#ifndef PGSEAL_TLS_SELF_TEST_H
#define PGSEAL_TLS_SELF_TEST_H

#include "tls/context.h"

struct cert_list;
struct tls_context;
struct tls_library;

/**
 * Complete one handshake in memory, against a client with the same versions, ciphers and groups that verifies
 * nothing, so that a context that cannot serve never replaces one that does.
 *
 * out_chain  the certificates that this client got, appended; NULL: not wanted. OpenSSL completes a lone
 *            certificate from the CAs of ca_file and crl_file, so that they may be more than cert_file has.
 */
MUST_CHECK enum code tls_context_self_test(struct tls_library *library,
                                           const struct tls_server_params *params,
                                           struct tls_context *context, struct cert_list *out_chain,
                                           struct err *e);

#endif
