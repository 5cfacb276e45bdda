/**
 * Comma lists inside a value.
 */
#ifndef PGSEAL_CONF_LIST_H
#define PGSEAL_CONF_LIST_H

#include "conf/settings_impl.h"

MUST_CHECK enum code value_split(struct arena *arena, struct str text, enum list_style style,
                                 struct settings_names *out);

#endif
