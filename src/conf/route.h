/**
 * Which route a database takes.
 */
#ifndef PGSEAL_CONF_ROUTE_H
#define PGSEAL_CONF_ROUTE_H

#include "conf/settings.h"

/** Its position among the routes; 0, the default, where none is written. */
size_t settings_route_index(const struct settings_route *routes, size_t n, struct str database);

/** How many connections a user may have, by max_user_connections.NAME or max_user_connections; 0: any number. */
int settings_max_user_connections(const struct settings *settings, struct str user);

/** The route of a database: its own where one is written, else the default. Never NULL. */
const struct settings_route *settings_route(const struct settings *settings, struct str database);

#endif
