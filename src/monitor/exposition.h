/**
 * Targets as text that Prometheus reads; tables/monitor_metrics.def has the metrics.
 *
 * [src: Prometheus documentation, "Exposition formats", text format 0.0.4]
 */
#ifndef PGSEAL_MONITOR_EXPOSITION_H
#define PGSEAL_MONITOR_EXPOSITION_H

#include "monitor/target.h"

struct buf;

struct monitor_run {
    const struct monitor_target *targets;
    size_t n;
    int64_t ended_s;
    double duration_s;
};

/** 0 ok, 1 warning, 2 critical, 3 unknown, as monitoring plugins end. */
unsigned monitor_status_number(enum monitor_status status);
/** The worst of a target's rows; one that has none is unknown. */
enum monitor_status monitor_target_status(const struct monitor_target *target);
/** Look at buf_ok(out) afterwards. */
void monitor_print_metrics(const struct monitor_run *run, struct buf *out);

#endif
