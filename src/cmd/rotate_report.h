/**
 * What `pgseal rotate` says: to people, to programs, and to Prometheus.
 */
#ifndef PGSEAL_CMD_ROTATE_REPORT_H
#define PGSEAL_CMD_ROTATE_REPORT_H

#include "cmd/cmd.h"
#include "renew/rotate.h"

#include <jansson.h>

/** A line or two per pair, to standard output. */
void rotate_print(const struct cmd *cmd, const char *target, const struct renew_report *reports, size_t n);
/** The same as a JSON array. */
json_t *rotate_json(const char *target, const struct renew_report *reports, size_t n);
/** The same as metrics for node_exporter's textfile collector, appended. */
void rotate_metrics(const char *target, const struct renew_report *reports, size_t n, int64_t now_unix_s,
                    struct buf *out);

#endif
