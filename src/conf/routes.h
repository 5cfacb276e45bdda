/**
 * Routes: which upstream, where passwords are judged and how the gate logs in, per database.
 */
#ifndef PGSEAL_CONF_ROUTES_H
#define PGSEAL_CONF_ROUTES_H

#include "conf/load.h"
#include "conf/settings.h"

/** The routes: the default one from the members, one more for each KEY.NAME. */
MUST_CHECK enum code load_routes(struct load *load);

#endif
