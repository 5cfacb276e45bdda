/**
 * Which route a client takes: by the host name that it asks for, else by its database.
 */
#ifndef PGSEAL_CONF_ROUTE_H
#define PGSEAL_CONF_ROUTE_H

#include "conf/settings.h"

/** NAME of upstream.NAME and its kin: "sni:HOST" is for a host, all else for a database. */
bool settings_names_host(struct str sub);
/** HOST of "sni:HOST". */
struct str settings_host_of(struct str sub);
/** Order of NAMEs: databases by their bytes, then hosts, in which case does not matter. 0: the same route. */
int settings_sub_compare(struct str a, struct str b);

/** Position of NAME among the routes; 0, the default, where none is written. */
size_t settings_route_index(const struct settings_route *routes, size_t n, struct str sub);

/** How many connections a user may have, by max_user_connections.NAME or max_user_connections; 0: any number. */
int settings_max_user_connections(const struct settings *settings, struct str user);

/** Is this one of the ways to log in? */
bool settings_logs_in_by(const struct settings_logins *logins, enum conf_upstream_login login);

/** The route of a database: its own where one is written, else the default. Never NULL. */
const struct settings_route *settings_route(const struct settings *settings, struct str database);
/**
 * The route of a client: the host's where one is written, else the database's. Never NULL.
 *
 * host  that it asks for by SNI; empty: none.
 */
const struct settings_route *settings_route_for(const struct settings *settings, struct str host,
                                                struct str database);

#endif
