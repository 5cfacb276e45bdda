#include "gate/views/rows_limits.h"

#include "base/clean.h"
#include "base/env.h"
#include "conf/route.h"
#include "gate/load/snapshot.h"
#include "gate/work/worker.h"
#include "net/limits.h"

#include <stdlib.h>

/* First counted, then copied: what comes in between has no room. */
struct limit_rows {
    struct rows *rows;
    struct limit_count *at;
    size_t n, room;
    bool failed;
};

static void count_one(void *arg, const struct limit_count *count)
{
    (void)count;
    ((struct limit_rows *)arg)->room++;
}

static void keep(struct limit_rows *list, const struct limit_count *count)
{
    if (list->n == list->room)
        return;
    list->at[list->n] = *count;
    if (!arena_str(&list->rows->arena, count->name, &list->at[list->n].name))
        list->failed = true;
    list->n++;
}

static void keep_one(void *arg, const struct limit_count *count)
{
    keep(arg, count);
}

static bool is_there(const struct limit_rows *list, enum limit_kind kind, struct str name)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->at[i].kind == kind && str_equal(list->at[i].name, name))
            return true;
    return false;
}

/* Who has a limit of his own is shown without a connection too. */
static void add_named(struct limit_rows *list, const struct settings *settings)
{
    for (size_t i = 0; i < settings->n_users; i++)
        if (settings->users[i].max_user_connections > 0 &&
            !is_there(list, LIMIT_USER, settings->users[i].user))
            keep(list, &(struct limit_count){ .kind = LIMIT_USER, .name = settings->users[i].user });
    for (size_t i = 1; i < settings->n_routes; i++)
        if (settings->routes[i].max_db_connections > 0 &&
            !is_there(list, LIMIT_DATABASE, settings->routes[i].database))
            keep(list, &(struct limit_count){ .kind = LIMIT_DATABASE, .name = settings->routes[i].database });
}

static int by_kind_and_name(const void *a, const void *b)
{
    const struct limit_count *x = a, *y = b;

    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : str_compare(x->name, y->name);
}

static bool rows_limits_fill(struct rows *rows, const struct limit_count *count,
                             struct row_pgseal_limits *out)
{
    static const char *const kinds[] = {
        [LIMIT_USER] = "user", [LIMIT_DATABASE] = "database", [LIMIT_ADDRESS] = "address"
    };
    const struct settings *settings = snapshot_settings(rows->snapshot);
    int allowed = count->kind == LIMIT_USER       ? settings_max_user_connections(settings, count->name)
                  : count->kind == LIMIT_DATABASE ? settings_route(settings, count->name)->max_db_connections
                                                  : settings->client_connection_rate_limit;
    struct str shown;

    if (!clean_text(CLEAN_NAME, count->name, &rows->arena, &shown))
        return false;
    out->kind = cell_c(kinds[count->kind]);
    out->name = cell_text(shown);
    if (allowed > 0)
        out->allowed = cell_int(allowed);
    out->used = cell_int((int64_t)count->used);
    out->refused = cell_int((int64_t)count->refused);
    return true;
}

enum code rows_make_limits(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);
    int64_t now_ms = env_mono_us(rows->shared->env) / 1000;
    struct limit_rows list = { .rows = rows };

    limits_each(rows->shared->limits, now_ms, count_one, &list);
    list.room += settings->n_users + settings->n_routes;
    list.at = arena_array(&rows->arena, list.room, sizeof *list.at);
    if (!list.at)
        return err_set(e, E_NOMEM, "out of memory");
    limits_each(rows->shared->limits, now_ms, keep_one, &list);
    add_named(&list, settings);
    qsort(list.at, list.n, sizeof *list.at, by_kind_and_name);
    out->at = arena_array(&rows->arena, list.n, sizeof *out->at);
    if (!out->at || list.failed)
        return err_set(e, E_NOMEM, "out of memory");
    for (; out->n < list.n; out->n++)
        if (!rows_limits_fill(rows, &list.at[out->n], &out->at[out->n].pgseal_limits))
            return err_set(e, E_NOMEM, "out of memory");
    return OK;
}
