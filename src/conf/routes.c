/*
 * Routes: which upstream, where passwords are judged and how the gate logs in, per database, or per host name that
 * clients ask for.
 *
 * A database, or a host, has a route of its own as soon as one of upstream.NAME, auth_source.NAME, upstream_login.NAME or,
 * for a database, max_db_connections.NAME is written; what is not written for it is the default's. Users have a table of
 * their own.
 */

#include "conf/routes.h"

#include "base/check.h"
#include "conf/defs.h"
#include "conf/item.h"
#include "conf/load.h"
#include "conf/route.h"

#include <stdlib.h>

static int compare_subs(const void *a, const void *b)
{
    return settings_sub_compare(*(const struct str *)a, *(const struct str *)b);
}

static int compare_users(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

/* Of a setting that was written as KEY.NAME, and is known. */
static const struct setting_family *family_of(const struct setting_family *families,
                                              const struct setting_def *def)
{
    for (size_t f = 0; f < SETTING_N_FAMILIES; f++)
        if (families[f].def == def)
            return &families[f];
    UNREACHABLE();
}

/* The databases and hosts, or users, that are named, each once, sorted. */
static enum code list_names(struct load *load, enum setting_of of, struct settings_names *out)
{
    int (*compare)(const void *a, const void *b) = of == SETTING_OF_route ? compare_subs : compare_users;
    struct setting_family families[SETTING_N_FAMILIES];
    struct str *at = arena_array(&load->core->arena, load->n_items, sizeof *at);
    size_t n = 0, kept = 0;

    if (!at)
        return E_NOMEM;
    setting_families(families);
    for (size_t i = 0; i < load->n_items; i++) {
        const struct load_item *item = &load->items[i];
        if (item->def && item->is_family && !item->superseded && family_of(families, item->def)->of == of)
            at[n++] = item->entry->sub;
    }
    if (n > 1)
        qsort(at, n, sizeof at[0], compare);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || compare(&at[kept - 1], &at[i]) != 0)
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
    const struct setting_family *family = family_of(families, item->def);
    struct setting_state
        *state = &load->core->route_states[route->index * SETTING_N_FAMILIES + (size_t)(family - families)];
    TRY(load_parse(load, item, (char *)route + family->offset, state));
    if (str_is(str_c(item->def->name), "upstream")) {
        route->owns_upstream = true;
        route->upstream_file = state->sourcefile;
        route->upstream_line = state->sourceline;
    }
    return OK;
}

static bool applies(const struct load_item *item)
{
    return item->def && item->is_family && !item->superseded && !item->problem;
}

/* The users that have a limit of their own. */
static enum code load_users(struct load *load)
{
    struct setting_family families[SETTING_N_FAMILIES];
    struct settings *settings = &load->core->settings;
    struct settings_names names;

    setting_families(families);
    TRY(list_names(load, SETTING_OF_user, &names));
    struct settings_user *users = arena_array(&load->core->arena, names.n, sizeof *users);
    load->core->user_states = arena_array(&load->core->arena, names.n * SETTING_N_FAMILIES,
                                          sizeof *load->core->user_states);
    if (!users || !load->core->user_states)
        return E_NOMEM;
    for (size_t u = 0; u < names.n; u++) {
        users[u] = (struct settings_user){ names.at[u], settings->max_user_connections };
        for (size_t i = 0; i < load->n_items; i++) {
            struct load_item *item = &load->items[i];
            const struct setting_family *family = applies(item) ? family_of(families, item->def) : NULL;
            if (!family || family->of != SETTING_OF_user || !str_equal(item->entry->sub, names.at[u]))
                continue;
            TRY(load_parse(load, item, (char *)&users[u] + family->offset,
                           &load->core->user_states[u * SETTING_N_FAMILIES + (size_t)(family - families)]));
        }
    }
    settings->users = users;
    settings->n_users = names.n;
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
    struct setting_family families[SETTING_N_FAMILIES];
    struct settings *settings = &load->core->settings;
    const struct setting_state *upstream = state_of(load, "upstream");
    struct settings_names databases;

    setting_families(families);
    TRY(load_users(load));
    TRY(list_names(load, SETTING_OF_route, &databases));
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
            .max_db_connections = settings->max_db_connections,
            .index = (unsigned)i,
            .owns_upstream = i == 0,
            .upstream_file = upstream->sourcefile,
            .upstream_line = upstream->sourceline,
        };
        if (settings_names_host(routes[i].database)) {
            routes[i].host = settings_host_of(routes[i].database);
            routes[i].max_db_connections = 0;
        } else {
            settings->n_database_routes = i + 1;
        }
        if (!make_label(load, &routes[i]))
            return E_NOMEM;
    }
    for (size_t i = 0; i < load->n_items; i++) {
        struct load_item *item = &load->items[i];
        if (applies(item) && family_of(families, item->def)->of == SETTING_OF_route)
            TRY(apply_family(load, item, &routes[settings_route_index(routes, n, item->entry->sub)]));
    }
    for (size_t i = 0; i < n; i++)
        if (i == 0 || routes[i].auth_source != routes[0].auth_source)
            check_route(load, &routes[i]);
    settings->routes = routes;
    settings->n_routes = n;
    settings->limits_names = settings->max_user_connections > 0;
    for (size_t i = 0; i < settings->n_users; i++)
        settings->limits_names = settings->limits_names || settings->users[i].max_user_connections > 0;
    for (size_t i = 0; i < n; i++)
        settings->limits_names = settings->limits_names || routes[i].max_db_connections > 0;
    return OK;
}
