/**
 * `pgseal monitor --listen`: what was last found, for Prometheus to ask for.
 */
#ifndef PGSEAL_CMD_MONITOR_EXPORTER_H
#define PGSEAL_CMD_MONITOR_EXPORTER_H

#include "cmd/cmd.h"
#include "cmd/monitor_pass.h"

struct exporter_params {
    const struct cmd *cmd;
    const struct pass_plan *plan;
    const char *address;
    int64_t interval_ms; /* between two looks */
};

/** Until SIGINT or SIGTERM. */
MUST_CHECK enum code exporter_run(const struct exporter_params *params, struct err *e);

#endif
