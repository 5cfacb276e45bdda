/**
 * The gate as a whole: start, serve until told to stop, reload.
 */
#ifndef PGSEAL_GATE_GATE_H
#define PGSEAL_GATE_GATE_H

#include "base/err.h"

struct arena;
struct env;
struct snapshot;

/** What an audit found, as pgseal_findings shows it. `id` and `severity` are static. */
struct gate_finding {
    const char *id, *severity;
    struct str where, what, fix;
};

struct gate_findings {
    const struct gate_finding *items; /* the worst first; in the caller's arena */
    size_t n;
};

/**
 * Looks at a snapshot for pgseal_findings. The audit stands beside the gate, so whoever stands above both
 * hands it in. Called on the SQL thread; may read files. E_NOMEM.
 */
typedef enum code gate_auditor(const struct snapshot *snapshot, int64_t now_unix_s, struct arena *arena,
                               struct gate_findings *out, struct err *e);

struct gate_params {
    const char *dir;             /* absolute */
    const struct str *overrides; /* "name=value" of -c */
    size_t n_overrides;
    struct env *env;       /* borrowed; its log gets all lines */
    gate_auditor *auditor; /* NULL: pgseal_findings stays empty */
};

/** Load everything as a start would; all complaints go to `diags`. */
MUST_CHECK enum code gate_check(const struct gate_params *params, struct diags *diags);
/**
 * Serve until SIGTERM or SIGINT. Blocks signals' default actions in the whole process while it runs.
 *
 * OK after an orderly stop; otherwise what prevented the start, which has been logged.
 */
MUST_CHECK enum code gate_run(const struct gate_params *params);

#endif
