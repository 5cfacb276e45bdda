/* The reference page of /metrics, from tables/metrics.def. */
#include "tabledoc_metrics.h"

#include "base/buf.h"
#include "base/count.h"

static void labels(struct buf *out, const struct metric_def *def)
{
    for (size_t i = 0; i < def->n_labels; i++)
        buf_printf(out, "%s`%.*s`", i > 0 ? " " : "", STR_ARG(def->labels[i]));
}

void metrics_page(struct buf *out)
{
    buf_printf(
        out,
        "<!-- Made by tools/tabledoc from tables/metrics.def; edit that. -->\n# Metrics\n\n"
        "`http_listen` serves them at `/metrics`, in the text format of Prometheus. Counters begin at 0 "
        "with the gate.\nA worker keeps at most %d sets of labels; what comes after them is counted under "
        "`other`.\nHistograms count times in buckets of",
        COUNT_CELLS_MAX);
    for (size_t i = 0; i < COUNT_BOUNDS; i++)
        buf_printf(out, " %g", (double)count_bounds_us[i] / 1e6);
    buf_append_c(out, " seconds.\nAlert rules are in `dist/prometheus/`, a dashboard for Grafana in "
                      "`dist/grafana/`.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_def def = metric_def((enum metric)i);
        buf_printf(out, "| `%s` | %s | ", def.name, metric_type_name(def.type));
        labels(out, &def);
        buf_printf(out, " | %s |\n", def.help);
    }
}
