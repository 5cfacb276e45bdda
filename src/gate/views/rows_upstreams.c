#include "gate/views/rows_upstreams.h"

#include "base/count.h"
#include "gate/load/snapshot.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"

struct tries {
    int64_t ok, failed;
    int64_t ok_us, failed_us; /* the last ones; 0: never */
};

/* Another thread may be counting meanwhile: count.h allows it. */
static void add_times(const struct counters *counters, enum metric metric, struct str label, int64_t *latest)
{
    for (const struct count_cell *cell = count_first(counters, metric); cell; cell = count_next(cell))
        if (str_equal(count_label(cell, 0), label) && count_value(cell) > *latest)
            *latest = count_value(cell);
}

static void add_counts(const struct counters *counters, struct str label, struct tries *out)
{
    const struct count_cell *cell = count_first(counters, METRIC_UPSTREAM_CONNECTS);

    for (; cell; cell = count_next(cell)) {
        if (!str_equal(count_label(cell, 0), label))
            continue;
        *(str_is(count_label(cell, 1), "ok") ? &out->ok : &out->failed) += count_value(cell);
    }
}

/* A route without a conninfo of its own goes to the default's server. */
static bool goes_to(const struct settings_route *route, const struct settings_route *owner)
{
    return route->owns_upstream ? route == owner : owner->index == 0;
}

static struct tries tries_of(const struct rows *rows, const struct settings_route *owner)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);
    struct tries tries = { 0 };

    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        if (!goes_to(route, owner) && route != owner)
            continue;
        struct str label = route->label;
        for (unsigned w = 0; w < rows->shared->n_workers; w++) {
            const struct counters *counters = rows->shared->workers[w]->counters;
            add_counts(counters, label, &tries);
            add_times(counters, METRIC_UPSTREAM_OK_TIME, label, &tries.ok_us);
            add_times(counters, METRIC_UPSTREAM_FAILED_TIME, label, &tries.failed_us);
        }
    }
    return tries;
}

static bool put_hosts(struct rows *rows, const struct conninfo *info, struct cell *out)
{
    struct str *items = arena_array(&rows->arena, info->host_count, sizeof *items);

    for (size_t i = 0; items && i < info->host_count; i++) {
        const struct conn_host *host = &info->hosts[i];
        struct str name = host->host.n > 0 ? host->host : host->hostaddr;
        bool v6 = str_find(name, ':') < name.n;
        if (!arena_printf(&rows->arena, &items[i], "%s%.*s%s:%.*s", v6 ? "[" : "", STR_ARG(name),
                          v6 ? "]" : "", STR_ARG(host->port_text)))
            return false;
    }
    *out = cell_texts(items, info->host_count);
    return items != NULL;
}

/* As upstream_check_url has told them. */
static bool put_roles(struct rows *rows, const struct conninfo *info, struct cell *out)
{
    static const char *const words[] = { [HOST_ROLE_UNKNOWN] = "unknown",
                                         [HOST_ROLE_PRIMARY] = "primary",
                                         [HOST_ROLE_STANDBY] = "standby",
                                         [HOST_ROLE_SILENT] = "unknown" };
    struct str *items = arena_array(&rows->arena, info->host_count, sizeof *items);

    for (size_t i = 0; items && i < info->host_count; i++)
        items[i] = str_c(words[host_roles_hinted(rows->shared->roles, &info->hosts[i])]);
    *out = cell_texts(items, info->host_count);
    return items != NULL;
}

static bool rows_upstreams_fill(struct rows *rows, const struct settings_route *route,
                                const struct upstream *upstream, struct row_pgseal_upstreams *out)
{
    struct tries tries = tries_of(rows, route);

    out->upstream = cell_text(route->label);
    out->sslmode = cell_c(sslmode_name(upstream->info.sslmode));
    out->connects = cell_int(tries.ok);
    out->failures = cell_int(tries.failed);
    if (tries.ok_us > 0)
        out->last_success = cell_int(tries.ok_us);
    if (tries.failed_us > 0)
        out->last_failure = cell_int(tries.failed_us);
    if (tries.ok_us > 0 || tries.failed_us > 0)
        out->reachable = cell_bool(tries.ok_us > tries.failed_us);
    if (upstream->checked && !put_roles(rows, &upstream->info, &out->roles))
        return false;
    return put_hosts(rows, &upstream->info, &out->hosts);
}

enum code rows_make_upstreams(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);

    out->at = arena_array(&rows->arena, settings->n_routes, sizeof *out->at);
    if (!out->at)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < settings->n_routes; i++) {
        const struct settings_route *route = &settings->routes[i];
        const struct upstream *upstream = snapshot_upstream(rows->snapshot, route);
        if (!upstream->configured || (i > 0 && !route->owns_upstream))
            continue;
        if (!rows_upstreams_fill(rows, route, upstream, &out->at[out->n++].pgseal_upstreams))
            return err_set(e, E_NOMEM, "out of memory");
    }
    return OK;
}
