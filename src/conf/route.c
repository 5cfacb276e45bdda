#include "conf/route.h"

#include "conf/defs.h"
#include "conf/load.h"
#include "conf/settings.h"

#include <stdlib.h>

/* Position of a database among routes[1…n), or 0, the default. */
size_t settings_route_index(const struct settings_route *routes, size_t n, struct str database)
{
    size_t low = 1, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(database, routes[middle].database);
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return 0;
}

const struct settings_route *settings_route(const struct settings *settings, struct str database)
{
    return &settings->routes[settings_route_index(settings->routes, settings->n_routes, database)];
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
