/**
 * The rows of tables/settings.def and tables/setting_values.def as C tables.
 */
#ifndef PGSEAL_CONF_DEFS_H
#define PGSEAL_CONF_DEFS_H

#include "conf/settings.h"
#include "conf/settings_impl.h"

void setting_families(struct setting_family out[SETTING_N_FAMILIES]);
/** Any case, old names too. NULL when unknown. */
const struct setting_def *setting_def_find(struct str name);

/** The known name nearest to `name`, or an empty text when none is near. */
struct str settings_nearest(struct str name);
/** "default", "configuration file", "command line", "override". */
const char *setting_source_name(enum setting_source source);
/** "internal", "postmaster", "sighup". */
const char *setting_context_name(enum setting_context context);

#endif
