/**
 * What `pgseal rotate` says: to people, to programs, and to Prometheus.
 */
#ifndef PGSEAL_CMD_ROTATE_REPORT_H
#define PGSEAL_CMD_ROTATE_REPORT_H

#include "base/buf.h"
#include "cmd/cmd.h"
#include "renew/rotate.h"

#include <jansson.h>

/** A line or two per pair, to standard output. */
void rotate_print(const struct cmd *cmd, const char *target, const struct renew_report *reports, size_t n);
/** The same as a JSON array. */
json_t *rotate_json(const char *target, const struct renew_report *reports, size_t n);
/** Metrics for node_exporter's textfile collector: the lines of each stand together. */
struct rotate_metrics {
    struct buf failed, not_after, run;
};

void rotate_metrics_init(struct rotate_metrics *metrics);
void rotate_metrics_fini(struct rotate_metrics *metrics);
void rotate_metrics_add(struct rotate_metrics *metrics, const char *target,
                        const struct renew_report *reports, size_t n, int64_t now_unix_s);
/** The same of a target that could not be looked into: a failure of no pair. */
void rotate_metrics_add_unread(struct rotate_metrics *metrics, const char *target, int64_t now_unix_s);
/** The text of a file. E_LIMIT. */
MUST_CHECK enum code rotate_metrics_text(const struct rotate_metrics *metrics, struct buf *out,
                                         struct err *e);

#endif
