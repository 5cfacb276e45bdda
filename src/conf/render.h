/**
 * Members back to text, as SHOW, pg_settings and the log print them.
 */
#ifndef PGSEAL_CONF_RENDER_H
#define PGSEAL_CONF_RENDER_H

#include "conf/settings_impl.h"

/** How SHOW prints a value; `with_unit` false: how pg_settings does. */
MUST_CHECK enum code value_render(const struct setting_def *def, struct arena *arena, struct value_view value,
                                  bool with_unit, struct str *out);
/** KEY.NAME as it is written, NAME in double quotes where it must be. */
MUST_CHECK enum code family_name(struct arena *arena, const char *key, struct str database, struct str *out);
/** Fill settings->rows from the members, core->states and the routes. */
MUST_CHECK enum code rows_build(struct settings_core *core);

#endif
