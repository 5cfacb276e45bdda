/*
 * Cells in a list per metric, found by a hash over their labels.
 *
 * The hash belongs to the writer. Readers walk the lists: a cell is complete before the pointer to it is
 * published, and never changes its place.
 */
#include "base/count.h"

#include "base/check.h"
#include "base/hash.h"

#include <stdatomic.h>
#include <stdlib.h>

struct count_cell {
    struct count_cell *_Atomic next; /* of the same metric */
    struct count_cell *hash_next;
    enum metric metric;
    _Atomic int64_t value;
    _Atomic int64_t *buckets; /* COUNT_BOUNDS + 1 of a histogram, else NULL */
    struct str labels[COUNT_LABELS_MAX];
};

enum { SLOTS = 1024 /* a power of two */, CACHE_LINE = 64 };

struct counters {
    struct count_cell *_Atomic first[METRIC_COUNT];
    struct count_cell *last[METRIC_COUNT];
    struct count_cell *slots[SLOTS];
    size_t n, n_max;
    bool failed; /* memory ran out for a cell */
};

static const struct {
    const char *name;
    enum metric_type type;
    enum metric_unit unit;
    enum metric_merge merge;
    const char *labels;
    const char *help;
} rows[] = {
#define X(id, name, type, unit, merge, labels, help)                                                         \
    [id] = { name, METRIC_##type, METRIC_##unit, METRIC_##merge, labels, help },
#include "metrics.def"
#undef X
};

/* From half a millisecond to ten seconds: a handshake on this machine, a login across the world. */
const int64_t count_bounds_us[COUNT_BOUNDS] = { 500,    1000,   2500,   5000,    10000,   25000,   50000,
                                                100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000 };

struct metric_def metric_def(enum metric metric)
{
    struct metric_def def = { .name = rows[metric].name,
                              .type = rows[metric].type,
                              .unit = rows[metric].unit,
                              .merge = rows[metric].merge,
                              .help = rows[metric].help };
    struct str rest = str_c(rows[metric].labels);

    while (def.n_labels < COUNT_LABELS_MAX && str_split(&rest, ',', &def.labels[def.n_labels]))
        def.n_labels++;
    return def;
}

const char *metric_type_name(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM:
        return "histogram";
    }
    UNREACHABLE();
}

static size_t label_count(enum metric metric)
{
    size_t n = *rows[metric].labels != '\0';

    for (const char *c = rows[metric].labels; *c; c++)
        n += *c == ',';
    return n;
}

bool counters_whole(const struct counters *counters)
{
    return !counters->failed;
}

struct counters *counters_new(size_t cells_max)
{
    struct counters *counters = calloc(1, sizeof *counters);

    if (counters)
        counters->n_max = cells_max;
    return counters;
}

void counters_free(struct counters *counters)
{
    if (!counters)
        return;
    for (size_t i = 0; i < METRIC_COUNT; i++)
        for (struct count_cell *cell = counters->first[i], *next; cell; cell = next) {
            next = cell->next;
            free(cell);
        }
    free(counters);
}

/* ---- finding and making ---- */

/* Over the bytes that are kept. */
static size_t slot_of(enum metric metric, const struct str *labels, size_t n)
{
    uint64_t hash = HASH_BEGIN ^ (uint64_t)metric;

    for (size_t i = 0; i < n; i++)
        hash = hash_byte(hash_str(hash, labels[i]), 0xff);
    return (hash ^ hash >> 16) & (SLOTS - 1);
}

static struct count_cell *count_find(const struct counters *counters, size_t slot, enum metric metric,
                                     const struct str *labels, size_t n)
{
    for (struct count_cell *cell = counters->slots[slot]; cell; cell = cell->hash_next) {
        size_t same = 0;
        while (cell->metric == metric && same < n && str_equal(cell->labels[same], labels[same]))
            same++;
        if (cell->metric == metric && same == n)
            return cell;
    }
    return NULL;
}

static struct count_cell *make(enum metric metric, const struct str *labels, size_t n)
{
    bool histogram = rows[metric].type == METRIC_HISTOGRAM;
    size_t size = sizeof(struct count_cell) + (histogram ? (COUNT_BOUNDS + 1) * sizeof(int64_t) : 0);
    size_t at = size;

    for (size_t i = 0; i < n; i++)
        size += labels[i].n;
    size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct count_cell *cell = aligned_alloc(CACHE_LINE, size); /* two workers' cells never share a line */
    if (!cell)
        return NULL;
    memset(cell, 0, size);
    cell->metric = metric;
    if (histogram)
        cell->buckets = (_Atomic int64_t *)(cell + 1);
    for (size_t i = 0; i < n; i++) {
        char *text = (char *)cell + at;
        if (labels[i].n > 0)
            memcpy(text, labels[i].p, labels[i].n);
        cell->labels[i] = str_of(text, labels[i].n);
        at += labels[i].n;
    }
    return cell;
}

static struct count_cell *find_or_make(struct counters *counters, enum metric metric,
                                       const struct str *labels, size_t n)
{
    size_t slot = slot_of(metric, labels, n);
    struct count_cell *cell = count_find(counters, slot, metric, labels, n);

    if (cell)
        return cell;
    cell = make(metric, labels, n);
    if (!cell) {
        counters->failed = true;
        return NULL;
    }
    cell->hash_next = counters->slots[slot];
    counters->slots[slot] = cell;
    struct count_cell *last = counters->last[metric];
    struct count_cell *_Atomic *end = last ? &last->next : &counters->first[metric];
    atomic_store_explicit(end, cell, memory_order_release);
    counters->last[metric] = cell;
    counters->n++;
    return cell;
}

struct count_cell *count_cell(struct counters *counters, enum metric metric, const struct str *labels)
{
    struct str kept[COUNT_LABELS_MAX];
    size_t n = label_count(metric);

    CHECK(n <= COUNT_LABELS_MAX);
    for (size_t i = 0; i < n; i++)
        kept[i] = str_first(labels[i], COUNT_LABEL_SIZE);
    if (counters->n < counters->n_max || n == 0)
        return find_or_make(counters, metric, kept, n);
    struct count_cell *cell = count_find(counters, slot_of(metric, kept, n), metric, kept, n);
    if (cell)
        return cell;
    for (size_t i = 0; i < n; i++)
        kept[i] = STR("other");
    return find_or_make(counters, metric, kept, n);
}

struct count_cell *count_same(struct counters *counters, const struct count_cell *other)
{
    return count_cell(counters, other->metric, other->labels);
}

/* ---- values ---- */

/* One writer: no instruction that locks the bus is needed. */
static void bump(_Atomic int64_t *value, int64_t n)
{
    atomic_store_explicit(value, atomic_load_explicit(value, memory_order_relaxed) + n, memory_order_relaxed);
}

void count_add(struct count_cell *cell, int64_t n)
{
    if (cell)
        bump(&cell->value, n);
}

void count_set(struct count_cell *cell, int64_t value)
{
    if (cell)
        atomic_store_explicit(&cell->value, value, memory_order_relaxed);
}

void count_time(struct count_cell *cell, int64_t us)
{
    size_t bucket = 0;

    if (!cell)
        return;
    while (bucket < COUNT_BOUNDS && us > count_bounds_us[bucket])
        bucket++;
    bump(&cell->buckets[bucket], 1);
    bump(&cell->value, us);
}

void count_restore(struct count_cell *into, int64_t value, const int64_t buckets[COUNT_BOUNDS + 1])
{
    if (!into)
        return;
    switch (rows[into->metric].merge) {
    case METRIC_SUM:
        bump(&into->value, value);
        break;
    case METRIC_MAX:
        if (value > count_value(into))
            count_set(into, value);
        break;
    }
    for (size_t i = 0; into->buckets && i <= COUNT_BOUNDS; i++)
        bump(&into->buckets[i], buckets[i]);
}

static void merge_cell(struct count_cell *into, const struct count_cell *from)
{
    int64_t buckets[COUNT_BOUNDS + 1] = { 0 };

    for (size_t i = 0; from->buckets && i <= COUNT_BOUNDS; i++)
        buckets[i] = count_bucket(from, i);
    count_restore(into, count_value(from), buckets);
}

void counters_merge(struct counters *into, const struct counters *from)
{
    for (size_t i = 0; i < METRIC_COUNT; i++)
        for (const struct count_cell *cell = count_first(from, (enum metric)i); cell;
             cell = count_next(cell)) {
            struct count_cell *mine = count_cell(into, (enum metric)i, cell->labels);
            if (mine)
                merge_cell(mine, cell);
        }
}

/* ---- reading ---- */

const struct count_cell *count_first(const struct counters *counters, enum metric metric)
{
    return atomic_load_explicit(&counters->first[metric], memory_order_acquire);
}

const struct count_cell *count_next(const struct count_cell *cell)
{
    return atomic_load_explicit(&cell->next, memory_order_acquire);
}

struct str count_label(const struct count_cell *cell, size_t index)
{
    return cell->labels[index];
}

int64_t count_value(const struct count_cell *cell)
{
    return atomic_load_explicit(&cell->value, memory_order_relaxed);
}

int64_t count_bucket(const struct count_cell *cell, size_t index)
{
    return atomic_load_explicit(&cell->buckets[index], memory_order_relaxed);
}
