/*
 * One set of numbers for whoever asks: the workers' counters summed up, and what only files and the snapshot
 * can tell.
 *
 * The sum is taken on the steward: a walk over some hundred cells. Certificates are read from disk, so that
 * part runs on the pool, on memory of its own and a snapshot that it holds. One at a time: who asks meanwhile
 * shares the next one with all the others.
 */
#include "gate/steward/measure.h"

#include "base/arena.h"
#include "base/check.h"
#include "base/count.h"
#include "base/log.h"
#include "gate/load/snapshot.h"
#include "gate/session/pending.h"
#include "gate/steward/elders.h"
#include "gate/steward/now.h"
#include "gate/steward/ready.h"
#include "gate/steward/role_check.h"
#include "gate/steward/steward.h"
#include "gate/views/rows.h"
#include "gate/views/rows_certificates.h"
#include "net/loop.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "tls/cause.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS_MAX = 16 * 1024, RULES_MAX = 500, CERTIFICATES_MAX = 512, MICRO = 1000000 };
#define MEASURE_ARENA_MAX ((size_t)64 << 20)

struct measurement {
    struct gate *gate;
    struct counters *sum;
    struct snapshot *snapshot; /* a reference */
    int64_t now_us;
    bool incomplete; /* memory ran out for a part that is no cell */
    struct measure_waiters waiters;
};

static void set(struct counters *sum, enum metric metric, int64_t value)
{
    count_set(count_cell(sum, metric, NULL), value);
}

/* ---- on the steward ---- */

/* What has not happened yet is 0, not absent: an increase from nothing could not be seen. */
static void add_zeros(struct counters *sum)
{
    static const char *const loads[] = { "loaded", "refused", "restored" };
    static const char *const cancels[] = { "sent", "forwarded", "invented", "limited", "unknown" };

    for (size_t i = 0; i < COUNT_OF(loads); i++)
        (void)count_cell(sum, METRIC_LOADS, &(struct str){ loads[i], strlen(loads[i]) });
    for (size_t i = 0; i < COUNT_OF(cancels); i++)
        (void)count_cell(sum, METRIC_CANCELS, &(struct str){ cancels[i], strlen(cancels[i]) });
    (void)count_cell(sum, METRIC_HEALTH_CHECKS, NULL);
    for (int cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
        const struct str label = str_c(cause_id((enum cause)cause));
        (void)count_cell(sum, METRIC_FAILURES, &label);
    }
}

static void add_drain(const struct gate_shared *shared, struct counters *sum)
{
    static const char *const results[DRAINED_COUNT] = {
        [DRAINED_IDLE] = "idle", [DRAINED_CUT] = "cut", [DRAINED_CLIENT] = "client"
    };

    set(sum, METRIC_DRAIN_LEFT, atomic_load_explicit(&shared->drain_left, memory_order_relaxed));
    for (size_t i = 0; i < DRAINED_COUNT; i++) {
        const struct str label = str_c(results[i]);
        unsigned long n = atomic_load_explicit(&shared->drained[i], memory_order_relaxed);
        count_set(count_cell(sum, METRIC_DRAINED, &label), (int64_t)n);
    }
}

static void add_gate(const struct gate *g, struct counters *sum)
{
    const struct str build[] = { STR(PGSEAL_VERSION), str_c(OpenSSL_version(OPENSSL_VERSION_STRING)) };

    count_set(count_cell(sum, METRIC_BUILD_INFO, build), 1);
    set(sum, METRIC_START_TIME, g->shared.started_us);
    set(sum, METRIC_WORKERS, g->n_workers);
    set(sum, METRIC_READY, ready_not(g) == NULL);
    set(sum, METRIC_CONNECTIONS_LIMIT, snapshot_settings(g->snapshot)->max_connections);
    add_drain(&g->shared, sum);
    set(sum, METRIC_LOG_LOST, (int64_t)log_lost(g->env->log));
}

static void add_limits(const struct gate *g, struct counters *sum)
{
    static const char *const transports[] = { "tcp", "unix" };
    const struct settings *settings = snapshot_settings(g->snapshot);

    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        const struct str label = str_c(transports[i]);
        count_set(count_cell(sum, METRIC_PENDING_LIMIT, &label), pending_limit(&g->shared, settings, i == 1));
    }
}

static void add_loads(const struct gate *g, struct counters *sum)
{
    size_t n = history_count(&g->history);

    set(sum, METRIC_GENERATION, g->generation);
    set(sum, METRIC_CONFIG_LOADED, snapshot_loaded_us(g->snapshot));
    if (n == 0)
        return;
    const struct history_row *last = history_at(&g->history, n - 1);
    set(sum, METRIC_CONFIG_GOOD, strcmp(last->result, "loaded") == 0);
    set(sum, METRIC_CONFIG_TRIED, last->at_us);
}

static int64_t time_of(const struct counters *sum, enum metric metric, struct str upstream)
{
    for (const struct count_cell *cell = count_first(sum, metric); cell; cell = count_next(cell))
        if (str_equal(count_label(cell, 0), upstream))
            return count_value(cell);
    return 0;
}

/* What the last session found. */
static void measure_add_upstreams(struct counters *sum)
{
    static const enum metric times[] = { METRIC_UPSTREAM_OK_TIME, METRIC_UPSTREAM_FAILED_TIME };

    for (size_t i = 0; i < COUNT_OF(times); i++)
        for (const struct count_cell *cell = count_first(sum, times[i]); cell; cell = count_next(cell)) {
            struct str name = count_label(cell, 0);
            int64_t ok_us = time_of(sum, METRIC_UPSTREAM_OK_TIME, name);
            int64_t failed_us = time_of(sum, METRIC_UPSTREAM_FAILED_TIME, name);
            count_set(count_cell(sum, METRIC_UPSTREAM_UP, &name), ok_us > failed_us);
        }
}

/* ---- on the pool ---- */

static void add_rules(const struct snapshot *snapshot, struct counters *sum)
{
    const struct policy *policy = snapshot_policy(snapshot);
    char line[16];
    size_t told = 0;

    for (size_t i = 0; i < policy_rule_count(policy) && told < RULES_MAX; i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        struct rule_hits hits = snapshot_hits(snapshot, rule);
        if (hits.count == 0)
            continue;
        (void)snprintf(line, sizeof line, "%u", rule->line);
        const struct str labels[] = { rule->file, str_c(line), str_c(hba_method_name(rule->method)) };
        count_set(count_cell(sum, METRIC_RULE_HITS, labels), hits.count);
        told++;
    }
}

static struct str measure_text_of(const struct cell *cell)
{
    return cell->kind == CELL_TEXT ? cell->text : STR("");
}

static int64_t life_left(int64_t from_us, int64_t until_us, int64_t now_us)
{
    if (until_us <= now_us || until_us <= from_us)
        return 0;
    if (now_us <= from_us)
        return MICRO;
    return (int64_t)((double)(until_us - now_us) / (double)(until_us - from_us) * MICRO);
}

static void add_crl(const struct row_pgseal_certificates *row, struct counters *sum)
{
    const struct str labels[] = { measure_text_of(&row->file), measure_text_of(&row->issuer),
                                  measure_text_of(&row->serial) };

    count_set(count_cell(sum, METRIC_CRL_THIS_UPDATE, labels), row->not_before.i);
    if (row->not_after.kind == CELL_INT)
        count_set(count_cell(sum, METRIC_CRL_NEXT_UPDATE, labels), row->not_after.i);
}

static void add_certificate(const struct row_pgseal_certificates *row, struct measurement *m)
{
    const struct str labels[] = { measure_text_of(&row->kind), measure_text_of(&row->file),
                                  measure_text_of(&row->subject), measure_text_of(&row->serial) };
    bool readable = row->not_before.kind == CELL_INT;

    count_set(count_cell(m->sum, METRIC_CERT_READABLE, labels), readable);
    if (!readable)
        return;
    if (str_is(labels[0], "crl")) {
        add_crl(row, m->sum);
        return;
    }
    count_set(count_cell(m->sum, METRIC_CERT_NOT_BEFORE, labels), row->not_before.i);
    if (row->not_after.kind == CELL_INT) {
        count_set(count_cell(m->sum, METRIC_CERT_NOT_AFTER, labels), row->not_after.i);
        count_set(count_cell(m->sum, METRIC_CERT_LIFE_LEFT, labels),
                  life_left(row->not_before.i, row->not_after.i, m->now_us));
    }
    if (row->served.kind == CELL_INT)
        count_set(count_cell(m->sum, METRIC_CERT_SERVED, labels), row->served.i);
}

static void measure_work(void *arg)
{
    struct measurement *m = arg;
    struct rows rows = { .snapshot = m->snapshot, .now_us = m->now_us };
    struct rows_list list = { 0 };
    struct err e;

    arena_init(&rows.arena, MEASURE_ARENA_MAX, 4096);
    add_rules(m->snapshot, m->sum);
    enum code code = rows_make_certificates(&rows, &list, &e);
    m->incomplete = code == E_NOMEM;
    if (code == OK)
        for (size_t i = 0; i < list.n && i < CERTIFICATES_MAX; i++)
            add_certificate(&list.at[i].pgseal_certificates, m);
    arena_fini(&rows.arena);
}

/* ---- the steward again ---- */

static void measure_answer(struct measure_waiters *waiters, const struct counters *sum)
{
    struct measure_waiter *waiter;

    while ((waiter = STAILQ_FIRST(waiters)) != NULL) {
        STAILQ_REMOVE_HEAD(waiters, next);
        waiter->done(waiter->arg, sum);
        free(waiter);
    }
}

static void free_measurement(struct measurement *m)
{
    snapshot_unref(m->snapshot);
    counters_free(m->sum);
    free(m);
}

static void measure_begin(struct gate *g);

static void measure_finish(void *arg)
{
    struct measurement *m = arg;
    struct gate *g = m->gate;

    /* A counter that is missing would look like one that began again. */
    measure_answer(&m->waiters, counters_whole(m->sum) && !m->incomplete ? m->sum : NULL);
    free_measurement(m);
    g->measuring = false;
    if (gate_is_over(g)) {
        measure_answer(&g->waiters, NULL);
        loop_stop(g->loop);
    } else if (!STAILQ_EMPTY(&g->waiters)) {
        measure_begin(g);
    }
}

static struct measurement *measurement_new(struct gate *g)
{
    struct measurement *m = calloc(1, sizeof *m);

    if (!m)
        return NULL;
    m->gate = g;
    m->snapshot = snapshot_ref(g->snapshot);
    m->now_us = g->env->now_unix_us(g->env->ctx);
    m->sum = counters_new(CELLS_MAX);
    if (!m->sum) {
        free_measurement(m);
        return NULL;
    }
    add_zeros(m->sum);
    counters_merge(m->sum, g->counters);
    for (unsigned i = 0; i < g->n_workers; i++)
        counters_merge(m->sum, g->workers[i]->counters);
    add_gate(g, m->sum);
    add_limits(g, m->sum);
    now_count(g, m->sum);
    elders_add_now(g, m->sum);
    add_loads(g, m->sum);
    measure_add_upstreams(m->sum);
    role_check_count(g, m->sum);
    return m;
}

/* For all who have asked by now. */
static void measure_go(void *arg)
{
    struct gate *g = arg;
    struct measurement *m = measurement_new(g);

    if (!m || !loop_job(g->loop, measure_work, measure_finish, m)) {
        if (m)
            free_measurement(m);
        g->measuring = false;
        measure_answer(&g->waiters, NULL);
        return;
    }
    STAILQ_INIT(&m->waiters);
    STAILQ_CONCAT(&m->waiters, &g->waiters);
}

/* The processes before us count sessions, too. */
static void measure_begin(struct gate *g)
{
    g->measuring = true;
    if (!elders_count(g, measure_go, g))
        measure_go(g);
}

bool measure_ask(struct gate *g, void (*done)(void *arg, const struct counters *counters), void *arg)
{
    struct measure_waiter *waiter = malloc(sizeof *waiter);

    if (!waiter)
        return false;
    *waiter = (struct measure_waiter){ .done = done, .arg = arg };
    STAILQ_INSERT_TAIL(&g->waiters, waiter, next);
    if (!g->measuring)
        measure_begin(g);
    return true;
}

void measure_stop(struct gate *g)
{
    while (g->measuring)
        loop_run(g->loop);
}
