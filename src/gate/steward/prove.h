/**
 * The way to every server, gone once: for `serve --check --login`.
 */
#ifndef PGSEAL_GATE_STEWARD_PROVE_H
#define PGSEAL_GATE_STEWARD_PROVE_H

#include "base/err.h"

struct snapshot;
struct worker;

/**
 * Reach the server of every upstream, with TLS and verification as configured; where auth_source is query, log
 * in as auth_user and have auth_query answered. One row of `diags` for each: what was proved, or an error with
 * the remedy.
 *
 * worker  not started; its loop is run here. E_CONFIG: a server did not do as needed.
 */
MUST_CHECK enum code prove_upstreams(struct worker *worker, struct snapshot *snapshot, struct diags *diags);

#endif
