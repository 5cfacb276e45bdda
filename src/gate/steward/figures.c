/*
 * A packet is a row of items, each of which begins with its kind. A metric, a label or a rule that the new program does not
 * have is left out.
 */
#include "gate/steward/figures.h"

#include "base/count.h"
#include "base/form.h"
#include "gate/load/snapshot.h"
#include "gate/steward/now.h"
#include "gate/steward/steward.h"
#include "policy/policy.h"

enum {
    ITEMS_MAX = OS_PACKET_MAX - 1024, /* of a packet: then another one begins */
    FULL = OS_PACKET_MAX / 2,
    FIGURE_CELL = 1,
    FIGURE_RULE = 2,
    FIGURE_NOW = 3
};

/* ---- telling ---- */

struct telling {
    const struct link *link;
    struct counters *known; /* to the other gate */
    struct buf items;
    bool told;
};

static void flush(struct telling *t)
{
    if (t->items.n == 0)
        return;
    t->told = t->told && buf_ok(&t->items) && link_send(t->link, LINK_COUNTERS, buf_bytes(&t->items), NULL);
    buf_reset(&t->items);
}

static void form_i64_of(struct form *f, int64_t value)
{
    form_i64(f, &value);
}

static void form_labels(struct form *f, const struct metric_def *def, const struct count_cell *cell)
{
    uint8_t n = (uint8_t)def->n_labels;

    (void)form_bytes(f, str_bytes(str_c(def->name)));
    form_u8(f, &n);
    for (size_t i = 0; i < def->n_labels; i++)
        (void)form_bytes(f, str_bytes(count_label(cell, i)));
}

/* What it does not know yet. */
static void tell_cell(struct telling *t, const struct metric_def *def, const struct count_cell *cell)
{
    struct count_cell *known = count_same(t->known, cell);
    struct form f = form_to(&t->items);
    uint8_t kind = FIGURE_CELL;
    int64_t more = count_value(cell), buckets[COUNT_BOUNDS + 1] = { 0 };

    if (!known)
        return;
    if (def->merge == METRIC_SUM)
        more -= count_value(known);
    form_u8(&f, &kind);
    form_labels(&f, def, cell);
    form_i64_of(&f, more);
    for (size_t i = 0; def->type == METRIC_HISTOGRAM && i <= COUNT_BOUNDS; i++) {
        buckets[i] = count_bucket(cell, i) - count_bucket(known, i);
        form_i64_of(&f, buckets[i]);
    }
    count_restore(known, more, buckets);
    if (t->items.n > FULL)
        flush(t);
}

/* What is only so now, such as the number of sessions, is counted anew where they arrive. */
static bool is_lasting(const struct metric_def *def)
{
    return def->type != METRIC_GAUGE || def->merge == METRIC_MAX;
}

static void tell_counters(struct telling *t, const struct counters *sum)
{
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_def def = metric_def((enum metric)i);
        if (!is_lasting(&def))
            continue;
        for (const struct count_cell *cell = count_first(sum, (enum metric)i); cell; cell = count_next(cell))
            tell_cell(t, &def, cell);
    }
}

static void tell_now(struct telling *t, const struct counters *now)
{
    uint8_t kind = FIGURE_NOW;

    for (size_t i = 0; i < NOW_METRICS; i++) {
        const struct metric_def def = metric_def(now_metrics[i]);
        for (const struct count_cell *cell = count_first(now, now_metrics[i]); cell;
             cell = count_next(cell)) {
            struct form f = form_to(&t->items);
            form_u8(&f, &kind);
            form_labels(&f, &def, cell);
            form_i64_of(&f, count_value(cell));
            if (t->items.n > FULL)
                flush(t);
        }
    }
}

static void tell_rules(struct telling *t, const struct snapshot *snapshot)
{
    const struct policy *policy = snapshot_policy(snapshot);

    for (size_t i = 0; i < policy_rule_count(policy); i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        struct rule_hits hits = snapshot_hits(snapshot, rule);
        struct form f = form_to(&t->items);
        uint8_t kind = FIGURE_RULE;
        uint32_t number = rule->number, line = rule->line;
        if (hits.count == 0)
            continue;
        form_u8(&f, &kind);
        form_u32(&f, &number);
        form_u32(&f, &line);
        (void)form_bytes(&f, str_bytes(rule->file));
        form_i64_of(&f, hits.count);
        form_i64_of(&f, hits.last_us);
        if (t->items.n > FULL)
            flush(t);
    }
}

static struct counters *add_up(const struct gate *g)
{
    struct counters *sum = counters_new(FIGURES_CELLS_MAX);

    if (!sum)
        return NULL;
    counters_merge(sum, g->counters);
    for (unsigned i = 0; i < g->n_workers; i++)
        counters_merge(sum, g->workers[i]->counters);
    return sum;
}

static bool end_telling(struct telling *t, struct counters *sum)
{
    flush(t);
    bool whole = counters_whole(sum) && counters_whole(t->known);
    counters_free(sum);
    buf_fini(&t->items);
    return t->told && whole;
}

bool figures_send(const struct gate *g, const struct link *link, struct counters *told)
{
    struct telling t = { .link = link, .known = told, .items = BUF_INIT(ITEMS_MAX), .told = true };
    struct counters *sum = add_up(g);

    if (!sum)
        return false;
    tell_counters(&t, sum);
    tell_rules(&t, g->snapshot);
    return end_telling(&t, sum);
}

bool figures_tell_more(const struct gate *g, const struct link *link, struct counters *told, bool now)
{
    struct telling t = { .link = link, .known = told, .items = BUF_INIT(ITEMS_MAX), .told = true };
    struct counters *sum = add_up(g);

    if (!sum)
        return false;
    tell_counters(&t, sum);
    if (now) {
        now_count(g, sum);
        tell_now(&t, sum);
    }
    return end_telling(&t, sum);
}

/* ---- hearing ---- */

static bool find_metric(struct str name, enum metric *out)
{
    for (int i = 0; i < METRIC_COUNT; i++)
        if (str_is(name, metric_def((enum metric)i).name)) {
            *out = (enum metric)i;
            return true;
        }
    return false;
}

/* Far from where a sum overflows, and far above what any gate counts. */
static const int64_t counted_max = INT64_MAX / 4;

static bool can_add(int64_t have, int64_t more)
{
    return more >= 0 && more <= counted_max - have;
}

static bool can_restore(const struct count_cell *cell, const struct metric_def *def, int64_t value,
                        const int64_t buckets[COUNT_BOUNDS + 1])
{
    bool can = def->merge == METRIC_MAX || can_add(count_value(cell), value);

    for (size_t i = 0; def->type == METRIC_HISTOGRAM && i <= COUNT_BOUNDS; i++)
        can = can && can_add(count_bucket(cell, i), buckets[i]);
    return can;
}

/* The metric, and its labels, borrowed. */
static struct metric_def take_labels(struct form *f, enum metric *out, struct str labels[COUNT_LABELS_MAX])
{
    uint8_t n = 0;

    struct str name = str_from_bytes(form_bytes(f, bytes_of(NULL, 0)));
    form_u8(f, &n);
    form_require(f, n <= COUNT_LABELS_MAX);
    for (size_t i = 0; form_ok(f) && i < n; i++)
        labels[i] = str_from_bytes(form_bytes(f, bytes_of(NULL, 0)));
    form_require(f, find_metric(name, out)); /* of the same form: it has the same metrics */
    const struct metric_def def = metric_def(*out);
    form_require(f, def.n_labels == n);
    return def;
}

static void take_cell(struct gate *g, struct form *f)
{
    struct str labels[COUNT_LABELS_MAX] = { { NULL, 0 } };
    int64_t value = 0, buckets[COUNT_BOUNDS + 1] = { 0 };
    enum metric metric = 0;

    const struct metric_def def = take_labels(f, &metric, labels);
    form_require(f, is_lasting(&def));
    form_i64(f, &value);
    for (size_t i = 0; form_ok(f) && def.type == METRIC_HISTOGRAM && i <= COUNT_BOUNDS; i++)
        form_i64(f, &buckets[i]);
    if (!form_ok(f))
        return;
    struct count_cell *cell = count_cell(g->counters, metric, labels);
    form_require(f, !cell || can_restore(cell, &def, value, buckets));
    if (form_ok(f))
        count_restore(cell, value, buckets);
}

static void take_now(struct counters *now, struct form *f)
{
    struct str labels[COUNT_LABELS_MAX] = { { NULL, 0 } };
    enum metric metric = 0;
    int64_t value = 0;

    (void)take_labels(f, &metric, labels);
    form_i64(f, &value);
    form_require(f, now && now_is(metric) && value >= 0 && value <= INT32_MAX);
    if (form_ok(f))
        count_set(count_cell(now, metric, labels), value);
}

static void take_rule(const struct gate *g, struct form *f)
{
    const struct policy *policy = snapshot_policy(g->snapshot);
    struct rule_hits hits = { 0 };
    uint32_t number = 0, line = 0;

    form_u32(f, &number);
    form_u32(f, &line);
    struct str file = str_from_bytes(form_bytes(f, bytes_of(NULL, 0)));
    form_i64(f, &hits.count);
    form_i64(f, &hits.last_us);
    form_require(f, hits.count >= 0 && hits.last_us >= 0);
    if (!form_ok(f) || number == 0 || number > policy_rule_count(policy))
        return;
    const struct hba_rule *rule = policy_rule(policy, number - 1);
    if (rule->line != line || !str_equal(rule->file, file))
        return;
    form_require(f, can_add(snapshot_hits(g->snapshot, rule).count, hits.count));
    if (form_ok(f))
        snapshot_add_hits(g->snapshot, rule, &hits);
}

bool figures_take(struct gate *g, const struct os_packet *packet, struct counters *now)
{
    struct form f = form_from(packet->data, NULL);

    while (form_ok(&f) && f.in.left.n > 0) {
        uint8_t kind = 0;
        form_u8(&f, &kind);
        if (kind == FIGURE_CELL)
            take_cell(g, &f);
        else if (kind == FIGURE_RULE)
            take_rule(g, &f);
        else if (kind == FIGURE_NOW)
            take_now(now, &f);
        else
            return false;
    }
    return form_end(&f) == OK && counters_whole(g->counters) && (!now || counters_whole(now));
}
