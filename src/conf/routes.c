/*
 * Routes: which upstream, where passwords are judged and how the gate logs in, per database.
 *
 * A database has a route of its own as soon as one of upstream.NAME, auth_source.NAME or upstream_login.NAME
 * is written; what is not written for it is the default's.
 */

#include "conf/routes.h"

#include "conf/defs.h"
#include "conf/item.h"
#include "conf/load.h"
#include "conf/route.h"

#include <stdlib.h>

static int compare_strs(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* The databases that are named, each once, sorted. */
static enum code list_databases(struct load *load, struct settings_names *out)
{
    struct str *at = arena_array(&load->core->arena, load->n_items, sizeof *at);
    size_t n = 0, kept = 0;

    if (!at)
        return E_NOMEM;
    for (size_t i = 0; i < load->n_items; i++)
        if (load->items[i].def && load->items[i].is_family && !load->items[i].superseded)
            at[n++] = load->items[i].entry->sub;
    if (n > 1)
        qsort(at, n, sizeof at[0], compare_strs);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || !str_equal(at[kept - 1], at[i]))
            at[kept++] = at[i];
    *out = (struct settings_names){ at, kept };
    return OK;
}

static struct setting_state *state_of(struct load *load, const char *name)
{
    return &load->core->states[setting_def_find(str_c(name)) - setting_defs];
}

static enum code apply_family(struct load *load, struct load_item *item, struct settings_route *route)
{
    struct setting_family families[SETTING_N_FAMILIES];

    setting_families(families);
    for (size_t f = 0; f < SETTING_N_FAMILIES; f++) {
        if (families[f].def != item->def)
            continue;
        struct setting_state *state = &load->core->route_states[route->index * SETTING_N_FAMILIES + f];
        TRY(load_parse(load, item, (char *)route + families[f].route_offset, state));
        if (str_is(str_c(item->def->name), "upstream")) {
            route->owns_upstream = true;
            route->upstream_file = state->sourcefile;
            route->upstream_line = state->sourceline;
        }
    }
    return OK;
}

static void check_route(struct load *load, const struct settings_route *route)
{
    const struct setting_state *state = state_of(load, "auth_source");

    if (route->auth_source != CONF_AUTH_FILE || load->core->settings.auth_file.path)
        return;
    struct diag *row = diags_add(load->diags, SEV_ERROR, E_CONFIG, state->sourcefile, state->sourceline,
                                 "\"auth_source\" is \"file\", but \"auth_file\" is not set");
    diags_hint(load->diags, row, "Set \"auth_file\" to a file in the format of PgBouncer's userlist.txt.");
}

static bool make_label(struct load *load, struct settings_route *route)
{
    struct str name = route->database;

    route->label = route->index == 0 ? STR("default") : name;
    if (route->index == 0 || !(str_is(name, "default") || str_starts(name, STR("\""))))
        return true;
    return arena_printf(&load->core->arena, &route->label, "\"%.*s\"", STR_ARG(name));
}

enum code load_routes(struct load *load)
{
    struct settings *settings = &load->core->settings;
    const struct setting_state *upstream = state_of(load, "upstream");
    struct settings_names databases;

    TRY(list_databases(load, &databases));
    size_t n = databases.n + 1;
    struct settings_route *routes = arena_array(&load->core->arena, n, sizeof *routes);
    load->core->route_states = arena_array(&load->core->arena, n * SETTING_N_FAMILIES,
                                           sizeof *load->core->route_states);
    if (!routes || !load->core->route_states)
        return E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        routes[i] = (struct settings_route){
            .database = i ? databases.at[i - 1] : str_of("", 0),
            .upstream = settings->upstream,
            .auth_source = settings->auth_source,
            .upstream_login = settings->upstream_login,
            .index = (unsigned)i,
            .owns_upstream = i == 0,
            .upstream_file = upstream->sourcefile,
            .upstream_line = upstream->sourceline,
        };
        if (!make_label(load, &routes[i]))
            return E_NOMEM;
    }
    for (size_t i = 0; i < load->n_items; i++) {
        struct load_item *item = &load->items[i];
        if (item->def && item->is_family && !item->superseded && !item->problem)
            TRY(apply_family(load, item, &routes[settings_route_index(routes, n, item->entry->sub)]));
    }
    for (size_t i = 0; i < n; i++)
        if (i == 0 || routes[i].auth_source != routes[0].auth_source)
            check_route(load, &routes[i]);
    settings->routes = routes;
    settings->n_routes = n;
    return OK;
}
