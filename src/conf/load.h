/**
 * A load in progress, shared by load.c, item.c, route.c and routes.c.
 */
#ifndef PGSEAL_CONF_LOAD_H
#define PGSEAL_CONF_LOAD_H

#include "conf/settings_impl.h"

/** One setting that was asked for, by a line of a file or by -c. */
struct load_item {
    const struct conf_entry *entry; /* name, value, place */
    const struct setting_def *def;  /* NULL: unknown */
    bool is_family;                 /* KEY.NAME */
    bool from_command_line;
    bool superseded;     /* a later one has the same name */
    const char *problem; /* for pg_file_settings; NULL: none */
};

struct load {
    const struct settings_params *params;
    struct settings_core *core;
    struct diags *diags;
    struct conf_entries entries;
    struct load_item *items; /* files first, then the command line */
    size_t n_items;
};

/** Allocate a core whose arena holds everything; NULL when memory ran out. */
struct settings_core *core_new(void);
void core_free(struct settings_core *core);

/**
 * All of a load: files, overrides, members, routes, rows. Complaints go to load->diags; look there too.
 * OK also when something was wrong in the text.
 */
MUST_CHECK enum code load_run(struct load *load);

#endif
