#include "conf/route.h"

#include "conf/settings.h"

#include <stdlib.h>

static const struct str host_prefix = { "sni:", 4 };

bool settings_names_host(struct str sub)
{
    return str_starts(sub, host_prefix);
}

struct str settings_host_of(struct str sub)
{
    return str_from(sub, host_prefix.n);
}

int settings_sub_compare(struct str a, struct str b)
{
    if (settings_names_host(a) != settings_names_host(b))
        return settings_names_host(a) ? 1 : -1;
    return settings_names_host(a) ? str_compare_nocase(a, b) : str_compare(a, b);
}

size_t settings_route_index(const struct settings_route *routes, size_t n, struct str sub)
{
    size_t low = 1, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = settings_sub_compare(sub, routes[middle].database);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

/* A client may call its database what it likes: only names of databases are databases. */
bool settings_logs_in_by(const struct settings_logins *logins, enum conf_upstream_login login)
{
    for (size_t i = 0; i < logins->n; i++)
        if (logins->at[i] == login)
            return true;
    return false;
}

const struct settings_route *settings_route(const struct settings *settings, struct str database)
{
    size_t index = settings_names_host(database)
                       ? 0
                       : settings_route_index(settings->routes, settings->n_database_routes, database);

    return &settings->routes[index];
}

const struct settings_route *settings_route_for(const struct settings *settings, struct str host,
                                                struct str database)
{
    size_t low = settings->n_database_routes, high = settings->n_routes;

    while (host.n > 0 && low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare_nocase(host, settings->routes[middle].host);
        if (order == 0)
            return &settings->routes[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return settings_route(settings, database);
}

static int compare_user(const void *key, const void *at)
{
    return str_compare(*(const struct str *)key, ((const struct settings_user *)at)->user);
}

int settings_max_user_connections(const struct settings *settings, struct str user)
{
    const struct settings_user *own = settings->n_users ? bsearch(&user, settings->users, settings->n_users,
                                                                  sizeof *own, compare_user)
                                                        : NULL;

    return own ? own->max_user_connections : settings->max_user_connections;
}
