/**
 * A live PostgreSQL server as the subject of an audit.
 */
#ifndef PGSEAL_AUDIT_COLLECT_LIVE_H
#define PGSEAL_AUDIT_COLLECT_LIVE_H

#include "base/err.h"

struct arena;
struct collected;
struct live_port;

struct live_params {
    const char *conninfo; /* as psql takes it */
    int64_t now_unix_s;
    /** Look at the port from outside; `out` stays as it is where nothing answers. E_NOMEM. NULL: do not. */
    enum code (*probe)(void *ctx, struct str host, struct str port, struct arena *arena,
                       struct live_port *out);
    void *ctx;
};

/**
 * Ask the server for all that its role may see. Secrets are not asked for, only of what kind they are.
 *
 * arena  borrowed; owns what is found.
 * out    set on OK. What the role may not see is in subject.unseen.
 *
 * E_CONNECT; E_UNSUPPORTED; E_CLOSED: the server went away in the middle; E_LIMIT; E_NOMEM.
 */
MUST_CHECK enum code collect_live(const struct live_params *params, struct arena *arena,
                                  struct collected *out, struct err *e);

#endif
