/**
 * Is the server the one that the connection string means?
 */
#ifndef PGSEAL_GATE_UPSTREAM_SERVER_VERIFY_H
#define PGSEAL_GATE_UPSTREAM_SERVER_VERIFY_H

#include "base/err.h"

struct attempt_step;
struct tls_engine;
struct upstream;

/** Name and ALPN of a server whose chain the handshake has verified. E_TLS with libpq's text. All borrowed. */
MUST_CHECK enum code server_verify(const struct upstream *upstream, const struct attempt_step *step,
                                   const struct tls_engine *tls, struct err *e);

#endif
