/* The reference page of /metrics, from tables/metrics.def and tables/monitor_metrics.def. */
#include "tabledoc_metrics.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/count.h"

static void labels(struct buf *out, const struct metric_def *def)
{
    for (size_t i = 0; i < def->n_labels; i++)
        buf_printf(out, "%s`%.*s`", i > 0 ? " " : "", STR_ARG(def->labels[i]));
}

enum monitored { ROW, TARGET, RUN };

/* What pgseal monitor tells. */
static void monitor_metrics(struct buf *out)
{
    static const struct {
        const char *name, *help;
        enum monitored of;
    } rows[] = {
#define X(id, name, of, help) { name, help, of },
#include "monitor_metrics.def"
#undef X
    };
    static const char *const label_lists[] = {
        [ROW] = "`target` `kind` `location` `subject` `serial`", [TARGET] = "`target`", [RUN] = ""
    };

    buf_append_c(
        out, "\n## Of `pgseal monitor`\n\n`--listen` serves them at `/metrics`, `--textfile` writes them for "
             "node_exporter.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        buf_printf(out, "| `%s` | gauge | %s | %s |\n", rows[i].name, label_lists[rows[i].of], rows[i].help);
}

void metrics_page(struct buf *out)
{
    buf_printf(
        out,
        "<!-- Made by tools/tabledoc from tables/metrics.def and monitor_metrics.def; edit those. -->\n# Metrics\n\n"
        "`http_listen` serves them at `/metrics`, in the text format of Prometheus. Counters begin at 0 "
        "with the gate.\nA worker keeps at most %d sets of labels; further ones are counted under "
        "`other`.\nHistograms count times in buckets of",
        COUNT_CELLS_MAX);
    for (size_t i = 0; i < COUNT_BOUNDS; i++)
        buf_printf(out, " %g", (double)count_bounds_us[i] / 1e6);
    buf_append_c(out,
                 " seconds.\nAlert rules are in `dist/prometheus/`. Dashboards for Grafana 10 and "
                 "later are in `dist/grafana/`: `pgseal.json` for gates, `pgseal-certificates.json` for what "
                 "`pgseal monitor` sees.\nWithout Grafana, [the status page](status-page.md) shows one "
                 "gate.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric_def def = metric_def((enum metric)i);
        buf_printf(out, "| `%s` | %s | ", def.name, metric_type_name(def.type));
        labels(out, &def);
        buf_printf(out, " | %s |\n", def.help);
    }
    monitor_metrics(out);
}
