/* The exposition format. */
#include "monitor/exposition.h"

#include "base/buf.h"
#include "base/clean.h"

#include <inttypes.h>
#include <stdlib.h>

enum monitor_metric {
#define X(id, name, of, help) id,
#include "monitor_metrics.def"
#undef X
    MONITOR_METRIC_COUNT
};

enum metric_of { ROW, TARGET, RUN };

static const struct {
    const char *name;
    enum metric_of of;
    const char *help;
} metrics[] = {
#define X(id, name, of, help) { name, of, help },
#include "monitor_metrics.def"
#undef X
};

unsigned monitor_status_number(enum monitor_status status)
{
    static const unsigned numbers[] = {
        [MONITOR_OK] = 0, [MONITOR_WARNING] = 1, [MONITOR_CRITICAL] = 2, [MONITOR_UNKNOWN] = 3
    };

    return numbers[status];
}

enum monitor_status monitor_target_status(const struct monitor_target *target)
{
    const struct monitor_row *row;
    enum monitor_status worst = STAILQ_EMPTY(&target->rows) ? MONITOR_UNKNOWN : MONITOR_OK;

    STAILQ_FOREACH (row, &target->rows, next) {
        if (row->status > worst)
            worst = row->status;
    }
    return worst;
}

static void print_label(struct buf *out, const char *name, struct str value)
{
    char *room = malloc(value.n * CLEAN_GROWTH + 1);

    if (!room) {
        out->failed = true;
        return;
    }
    struct str clean = clean_into(CLEAN_NAME, value, room);
    buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < clean.n; i++) {
        if (clean.p[i] == '\\' || clean.p[i] == '"')
            buf_append_byte(out, '\\');
        buf_append_byte(out, (uint8_t)clean.p[i]);
    }
    buf_append_byte(out, '"');
    free(room);
}

/* Has the metric a value for this row? */
static bool has_value(enum monitor_metric metric, const struct monitor_row *row)
{
    switch (metric) {
    case MONITOR_METRIC_NOT_BEFORE:
        return monitor_row_is_dated(row);
    case MONITOR_METRIC_NOT_AFTER:
    case MONITOR_METRIC_LIFE_LEFT:
        return monitor_row_is_dated(row) && row->not_after_s != INT64_MAX;
    case MONITOR_METRIC_STATUS:
        return true;
    case MONITOR_METRIC_SERVED:
        return row->served != SERVED_NOT_CHECKED;
    case MONITOR_METRIC_TARGET_STATUS:
    case MONITOR_METRIC_ENDED:
    case MONITOR_METRIC_DURATION:
    case MONITOR_METRIC_COUNT:
        break;
    }
    return false;
}

static void print_value(enum monitor_metric metric, const struct monitor_row *row, struct buf *out)
{
    switch (metric) {
    case MONITOR_METRIC_NOT_BEFORE:
        buf_printf(out, " %" PRId64 "\n", row->not_before_s);
        return;
    case MONITOR_METRIC_NOT_AFTER:
        buf_printf(out, " %" PRId64 "\n", row->not_after_s);
        return;
    case MONITOR_METRIC_LIFE_LEFT:
        buf_printf(out, " %.6f\n", row->life.life_left);
        return;
    case MONITOR_METRIC_STATUS:
        buf_printf(out, " %u\n", monitor_status_number(row->status));
        return;
    case MONITOR_METRIC_SERVED:
        buf_printf(out, " %d\n", row->served == SERVED_MATCHES);
        return;
    case MONITOR_METRIC_TARGET_STATUS:
    case MONITOR_METRIC_ENDED:
    case MONITOR_METRIC_DURATION:
    case MONITOR_METRIC_COUNT:
        break;
    }
}

static bool same_labels(const struct monitor_row *a, const struct monitor_row *b)
{
    return str_is(str_c(a->kind), b->kind) && str_equal(a->where, b->where) &&
           str_equal(a->info.subject, b->info.subject) && str_equal(a->info.serial, b->info.serial);
}

/* Two series of the same labels would make the whole text invalid: the worst row speaks for all its likes. */
static bool is_spoken_for(const struct monitor_target *target, const struct monitor_row *row)
{
    const struct monitor_row *other;
    bool behind = false;

    STAILQ_FOREACH (other, &target->rows, next) {
        if (other == row)
            behind = true;
        else if (same_labels(other, row) &&
                 (other->status > row->status || (other->status == row->status && !behind)))
            return true;
    }
    return false;
}

static void print_row(enum monitor_metric metric, const struct monitor_target *target,
                      const struct monitor_row *row, struct buf *out)
{
    if (!has_value(metric, row) || is_spoken_for(target, row))
        return;
    buf_printf(out, "%s{", metrics[metric].name);
    print_label(out, "target", target->text);
    buf_append_byte(out, ',');
    print_label(out, "kind", str_c(row->kind));
    buf_append_byte(out, ',');
    print_label(out, "location", row->where);
    buf_append_byte(out, ',');
    print_label(out, "subject", row->info.subject);
    buf_append_byte(out, ',');
    print_label(out, "serial", row->info.serial);
    buf_append_byte(out, '}');
    print_value(metric, row, out);
}

/* The same target twice is one. */
static bool is_repeated(const struct monitor_run *run, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (str_equal(run->targets[j].text, run->targets[i].text))
            return true;
    return false;
}

static void print_target(enum monitor_metric metric, const struct monitor_target *target, struct buf *out)
{
    const struct monitor_row *row;

    if (metrics[metric].of == TARGET) {
        buf_printf(out, "%s{", metrics[metric].name);
        print_label(out, "target", target->text);
        buf_printf(out, "} %u\n", monitor_status_number(monitor_target_status(target)));
        return;
    }
    STAILQ_FOREACH (row, &target->rows, next) {
        print_row(metric, target, row, out);
    }
}

void monitor_print_metrics(const struct monitor_run *run, struct buf *out)
{
    for (size_t m = 0; m < MONITOR_METRIC_COUNT; m++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", metrics[m].name, metrics[m].help, metrics[m].name);
        if (m == MONITOR_METRIC_ENDED)
            buf_printf(out, "%s %" PRId64 "\n", metrics[m].name, run->ended_s);
        else if (m == MONITOR_METRIC_DURATION)
            buf_printf(out, "%s %.3f\n", metrics[m].name, run->duration_s);
        else
            for (size_t i = 0; i < run->n; i++)
                if (!is_repeated(run, i))
                    print_target((enum monitor_metric)m, &run->targets[i], out);
    }
}
