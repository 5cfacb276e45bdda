/* The exposition format. */
#include "watch/metrics.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/count.h"
#include "sql/sql_utf8.h"

#include <inttypes.h>
#include <stdio.h>

enum { MICRO = 1000000, VALUE_MAX = COUNT_LABEL_SIZE * 4 /* every byte as \xNN */ };

static void print_label(struct buf *out, struct str name, struct str value)
{
    AUTO(buf) struct buf clean = BUF_INIT(VALUE_MAX);

    sql_utf8_clean(&clean, value);
    buf_printf(out, "%.*s=\"", STR_ARG(name));
    for (size_t i = 0; i < clean.n; i++) {
        if (clean.p[i] == '\n') {
            buf_append_c(out, "\\n");
            continue;
        }
        if (clean.p[i] == '\\' || clean.p[i] == '"')
            buf_append_byte(out, '\\');
        buf_append_byte(out, clean.p[i]);
    }
    buf_append_byte(out, '"');
    out->failed |= clean.failed;
}

/* bound: of a histogram's bucket; NULL: none. */
static void print_labels(struct buf *out, const struct metric_def *def, const struct count_cell *cell,
                         const char *bound)
{
    const char *between = "{";

    for (size_t i = 0; i < def->n_labels; i++) {
        buf_append_c(out, between);
        print_label(out, def->labels[i], count_label(cell, i));
        between = ",";
    }
    if (bound) {
        buf_printf(out, "%sle=\"%s\"", between, bound);
        between = ",";
    }
    if (*between == ',')
        buf_append_c(out, "}");
}

static void print_value(struct buf *out, enum metric_unit unit, int64_t value)
{
    const char *sign = value < 0 ? "-" : "";
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    switch (unit) {
    case METRIC_ONE:
        buf_printf(out, " %s%" PRIu64 "\n", sign, size);
        return;
    case METRIC_MICRO:
        buf_printf(out, " %s%" PRIu64 ".%06" PRIu64 "\n", sign, size / MICRO, size % MICRO);
        return;
    }
}

static void print_histogram(struct buf *out, const struct metric_def *def, const struct count_cell *cell)
{
    char bound[32];
    int64_t sum = 0;

    for (size_t i = 0; i <= COUNT_BOUNDS; i++) {
        if (i < COUNT_BOUNDS)
            (void)snprintf(bound, sizeof bound, "%g", (double)count_bounds_us[i] / MICRO);
        else
            memcpy(bound, "+Inf", sizeof "+Inf");
        sum += count_bucket(cell, i);
        buf_printf(out, "%s_bucket", def->name);
        print_labels(out, def, cell, bound);
        print_value(out, METRIC_ONE, sum);
    }
    buf_printf(out, "%s_sum", def->name);
    print_labels(out, def, cell, NULL);
    print_value(out, def->unit, count_value(cell));
    buf_printf(out, "%s_count", def->name);
    print_labels(out, def, cell, NULL);
    print_value(out, METRIC_ONE, sum);
}

static void print_cell(struct buf *out, const struct metric_def *def, const struct count_cell *cell)
{
    if (def->type == METRIC_HISTOGRAM) {
        print_histogram(out, def, cell);
        return;
    }
    buf_append_c(out, def->name);
    print_labels(out, def, cell, NULL);
    print_value(out, def->unit, count_value(cell));
}

void metrics_print(const struct counters *counters, struct buf *out)
{
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct count_cell *cell = count_first(counters, (enum metric)i);
        const struct metric_def def = metric_def((enum metric)i);
        if (!cell)
            continue;
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", def.name, def.help, def.name,
                   metric_type_name(def.type));
        for (; cell; cell = count_next(cell))
            print_cell(out, &def, cell);
    }
}
