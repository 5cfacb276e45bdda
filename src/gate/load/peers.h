/**
 * The gates of cancel_peers, as a load needs them.
 */
#ifndef PGSEAL_GATE_LOAD_PEERS_H
#define PGSEAL_GATE_LOAD_PEERS_H

#include "base/err.h"

struct arena;
struct conn_world;
struct conninfo;
struct settings;

/** What cancel_peers needs: TLS, a CA, a certificate that may be shown as a client. E_CONFIG. */
MUST_CHECK enum code peers_check(const struct settings *settings, struct diags *diags);
/** The i-th peer as a server to connect to: direct TLS, verify-full, the gate's own certificate. */
MUST_CHECK enum code peers_conninfo(const struct settings *settings, size_t i, const struct conn_world *world,
                                    struct arena *arena, struct conninfo *out, struct err *e);

#endif
