/**
 * Counters as text that Prometheus reads.
 *
 * [src: Prometheus documentation, "Exposition formats", text format 0.0.4]
 */
#ifndef PGSEAL_WATCH_METRICS_H
#define PGSEAL_WATCH_METRICS_H

struct buf;
struct counters;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/**
 * All metrics that have a value, each with its help and type. Labels are escaped; bytes that are not UTF-8
 * appear as \xNN. Look at buf_ok(out) afterwards.
 */
void metrics_print(const struct counters *counters, struct buf *out);

#endif
