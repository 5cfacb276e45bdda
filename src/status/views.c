#include "status/views.h"

#include "base/check.h"
#include "pgtypes/pgreg.h"
#include "status/rows.h"

#define COL_CHECK(n) _Static_assert((n) <= VIEW_COLUMNS_MAX * sizeof(struct cell), "VIEW_COLUMNS_MAX")
#define VIEW(id, name, schema, access, help) COL_CHECK(sizeof(struct row_##name));
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END

#define VIEW(id, name, schema, access, help) static const struct column_def columns_##name[] = {
#define COL(view, column, type, help) { #column, PG_##type, help },
#define END(view)                                                                                            \
    }                                                                                                        \
    ;
#include "views.def"
#undef VIEW
#undef COL
#undef END

static const struct view_def views[VIEW_COUNT] = {
#define VIEW(id, name, schema, access, help)                                                                 \
    { VIEW_##id, #name, SCHEMA_##schema, ACCESS_##access, help, columns_##name, COUNT_OF(columns_##name) },
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END
};

#define READERS_OF_ALL READERS_ALL
#define READERS_OF_OWN READERS_ALL
#define READERS_OF_MASK READERS_ALL
#define READERS_OF_PRIVILEGED READERS_PRIVILEGED
#define READERS_OF_ADMIN READERS_ADMIN
#define READERS_OF_SETTINGS READERS_ALL
#define READERS_OF_BUILTIN READERS_ALL

const struct relation_def view_relations[VIEW_COUNT] = {
#define VIEW(id, name, schema, access, help)                                                                 \
    { #name, READERS_OF_##access, ACCESS_##access == ACCESS_BUILTIN, columns_##name,                         \
      COUNT_OF(columns_##name) },
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END
};

static const char *const names[] = {
#define VIEW(id, name, schema, access, help) #name,
#define COL(view, column, type, help)
#define END(view)
#include "views.def"
#undef VIEW
#undef COL
#undef END
};

const struct pg_relations view_names = { names, COUNT_OF(names) };

_Static_assert(VIEW_COUNT <= 64, "a set of views is 64 bits");

const struct view_def *view_def(enum view view)
{
    CHECK((unsigned)view < VIEW_COUNT);
    return &views[view];
}

uint32_t view_oid(enum view view)
{
    return PGREG_RELATION_BASE + (uint32_t)view;
}
