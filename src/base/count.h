/**
 * Counters, gauges and histograms of tables/metrics.def.
 *
 * One thread writes a set, others may read it meanwhile: values are relaxed atomics, cells are only ever
 * added. What is bumped often is looked up once and kept as a cell; a bump is then a load and a store.
 */
#ifndef PGSEAL_BASE_COUNT_H
#define PGSEAL_BASE_COUNT_H

#include "base/slice.h"

enum metric {
#define X(id, name, type, unit, merge, labels, help) id,
#include "metrics.def"
#undef X
    METRIC_COUNT
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_ONE, METRIC_MICRO };
enum metric_merge { METRIC_SUM, METRIC_MAX };

enum {
    COUNT_LABELS_MAX = 4,
    COUNT_LABEL_SIZE = 192, /* bytes of a label's value that are kept */
    COUNT_BOUNDS = 14,
    COUNT_CELLS_MAX = 1024 /* of one worker; further label values are counted as "other" */
};

struct metric_def {
    const char *name;
    enum metric_type type;
    enum metric_unit unit;
    enum metric_merge merge;
    struct str labels[COUNT_LABELS_MAX];
    size_t n_labels;
    const char *help;
};

/** Never fails; texts are static. */
struct metric_def metric_def(enum metric metric);
/** "counter", "gauge", "histogram". */
const char *metric_type_name(enum metric_type type);
/** Upper bounds of a histogram's buckets in microseconds, ascending; beyond the last there is one more. */
extern const int64_t count_bounds_us[COUNT_BOUNDS];

struct counters;
struct count_cell;

/** At most `cells_max` label sets, and one more per metric. NULL when memory ran out. */
struct counters *counters_new(size_t cells_max);
/** NULL is fine. */
void counters_free(struct counters *counters);

/* ---- for the one who writes ---- */

/**
 * The cell of these label values, as many as the metric has; made when it is not there. Lives as long as the
 * counters. NULL when memory ran out: the functions below then do nothing.
 */
struct count_cell *count_cell(struct counters *counters, enum metric metric, const struct str *labels);
/** The cell of the same metric and labels as another set's. */
struct count_cell *count_same(struct counters *counters, const struct count_cell *other);
/** False: memory ran out for a cell, and something is missing. */
bool counters_whole(const struct counters *counters);
/** For counters and gauges. */
void count_add(struct count_cell *cell, int64_t n);
void count_set(struct count_cell *cell, int64_t value);
/** For histograms. */
void count_time(struct count_cell *cell, int64_t us);
/** Add what another cell of this metric has counted; buckets: only of a histogram. */
void count_restore(struct count_cell *cell, int64_t value, const int64_t buckets[COUNT_BOUNDS + 1]);
/** Add what `from` has; another thread may be writing there. */
void counters_merge(struct counters *into, const struct counters *from);

/* ---- for anybody ---- */

/** The cells of a metric in the order in which they were made; NULL: no more. */
const struct count_cell *count_first(const struct counters *counters, enum metric metric);
const struct count_cell *count_next(const struct count_cell *cell);
struct str count_label(const struct count_cell *cell, size_t index);
/** Of a histogram: the sum of the times. */
int64_t count_value(const struct count_cell *cell);
/** Times in bucket `index`, 0 to COUNT_BOUNDS: not yet summed up. */
int64_t count_bucket(const struct count_cell *cell, size_t index);

#endif
