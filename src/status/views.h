/**
 * views.def as arrays that can be walked.
 */
#ifndef PGSEAL_STATUS_VIEWS_H
#define PGSEAL_STATUS_VIEWS_H

#include "status/rows.h"

/** Never NULL; for views of views.def in its order: SQL, --json, text tables, documentation walk this. */
const struct view_def *view_def(enum view view);
/** The same for SQL. */
extern const struct relation_def view_relations[VIEW_COUNT];
/** For regclass. */
extern const struct pg_relations view_names;
/** OID of a view in pg_class. */
uint32_t view_oid(enum view view);

#endif
