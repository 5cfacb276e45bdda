/**
 * The gate as a whole: start, serve until told to stop, reload.
 */
#ifndef PGSEAL_GATE_GATE_H
#define PGSEAL_GATE_GATE_H

#include "base/err.h"

struct env;

struct gate_params {
    const char *dir;             /* absolute */
    const struct str *overrides; /* "name=value" of -c */
    size_t n_overrides;
    struct env *env; /* borrowed; its log gets all lines */
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
