/* One source for all views: which rows_*.c knows what. */
#include "gate/views/rows.h"

#include "base/env.h"
#include "gate/views/gather.h"
#include "gate/views/rows_certificates.h"
#include "gate/views/rows_clients.h"
#include "gate/views/rows_config.h"
#include "gate/views/rows_history.h"
#include "gate/views/rows_limits.h"
#include "gate/views/rows_sessions.h"
#include "gate/views/rows_tally.h"
#include "gate/views/rows_upstreams.h"
#include "gate/work/worker.h"

#include <stdlib.h>

enum { ROWS_ARENA_FIRST = 4096 };
#define ROWS_ARENA_MAX ((size_t)256 << 20)

typedef enum code make_fn(struct rows *rows, struct rows_list *out, struct err *e);

/* NULL: rows of sessions, or none at all. */
static make_fn *maker_of(enum view view)
{
    static make_fn *const makers[VIEW_COUNT] = {
        [VIEW_PG_SETTINGS] = rows_make_settings,
        [VIEW_PG_FILE_SETTINGS] = rows_make_file_settings,
        [VIEW_PG_HBA_FILE_RULES] = rows_make_hba,
        [VIEW_PG_IDENT_FILE_MAPPINGS] = rows_make_ident,
        [VIEW_PGSEAL_HOSTS] = rows_make_hosts,
        [VIEW_PGSEAL_RULES] = rows_make_rules,
        [VIEW_PGSEAL_FAILURES] = rows_make_failures,
        [VIEW_PGSEAL_CLIENTS] = rows_make_clients,
        [VIEW_PGSEAL_GENERATIONS] = rows_make_generations,
        [VIEW_PGSEAL_CERTIFICATES] = rows_make_certificates,
        [VIEW_PGSEAL_LIMITS] = rows_make_limits,
        [VIEW_PGSEAL_UPSTREAMS] = rows_make_upstreams,
        [VIEW_PGSEAL_FINDINGS] = rows_make_findings,
    };

    return makers[view];
}

static enum code rows_count(void *ctx, enum view view, size_t *out, struct err *e)
{
    struct rows *rows = ctx;
    struct rows_list *list = &rows->lists[view];
    make_fn *make = maker_of(view);

    if (VIEW_BIT(view) & ROWS_SESSIONS) {
        TRY(rows_sort_cards(rows, e));
        *out = view == VIEW_PGSEAL_SESSIONS ? rows->n_cards : rows->n_backends;
        return OK;
    }
    if (make && !list->made)
        TRY(make(rows, list, e));
    list->made = true;
    *out = list->n;
    return OK;
}

static void rows_fill(void *ctx, enum view view, size_t index, union view_row *out, struct row_rights *rights)
{
    struct rows *rows = ctx;

    if (view == VIEW_PGSEAL_CLIENTS) {
        rows_fill_client(rows, index, &out->pgseal_clients);
        return;
    }
    if (!(VIEW_BIT(view) & ROWS_SESSIONS)) {
        *out = rows->lists[view].at[index];
        if (view == VIEW_PG_SETTINGS)
            rights->restricted = rows_setting_hidden(rows, index);
        return;
    }
    const struct session_card *card = view == VIEW_PGSEAL_SESSIONS ? rows->cards[index]
                                                                   : rows->backends[index];
    rights->owner = card->owner;
    if (view == VIEW_PG_STAT_SSL)
        rows_fill_ssl(card, &out->pg_stat_ssl);
    else if (view == VIEW_PG_STAT_ACTIVITY)
        rows_fill_activity(card, &out->pg_stat_activity);
    else if (view == VIEW_PG_STAT_GSSAPI)
        rows_fill_gssapi(card, &out->pg_stat_gssapi);
    else
        rows_fill_sessions(rows, card, &out->pgseal_sessions);
}

static void release(void *ctx)
{
    struct rows *rows = ctx;

    gather_free(rows->gather);
    snapshot_unref(rows->snapshot);
    arena_fini(&rows->arena);
    free(rows);
}

bool rows_new(struct worker *worker, struct gather *gather, struct row_source *out)
{
    const struct env *env = &worker->env;
    struct rows *rows = calloc(1, sizeof *rows);

    if (!rows)
        return false;
    rows->shared = worker->shared;
    rows->snapshot = snapshot_ref(worker->snapshot);
    rows->gather = gather;
    rows->now_us = env->now_unix_us(env->ctx);
    arena_init(&rows->arena, ROWS_ARENA_MAX, ROWS_ARENA_FIRST);
    *out = (struct row_source){ .ctx = rows, .count = rows_count, .fill = rows_fill, .release = release };
    return true;
}
