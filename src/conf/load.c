/*
 * A load: every line of the files and every -c, judged in one pass.
 *
 * Of several values for one name the last counts, and -c counts over files; values that do not count are not
 * looked at [src: PostgreSQL 18, guc.c, ProcessConfigFileInternal]. Errors are collected; the caller gives
 * nothing out unless there was none. Settings that need a restart keep the value they have in
 * params->running.
 */
#include "conf/load.h"

#include "base/check.h"
#include "base/unseen.h"
#include "conf/defs.h"
#include "conf/item.h"
#include "conf/render.h"
#include "conf/route.h"
#include "conf/routes.h"
#include "conf/value.h"
#include "lex/conf_disk.h"
#include "lex/conf_token.h"
#include "lex/conninfo_hide.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

struct settings_core *core_new(void)
{
    struct settings_core *core = calloc(1, sizeof *core);

    if (!core)
        return NULL;
    arena_init(&core->arena, SETTINGS_ARENA_MAX, SETTINGS_ARENA_FIRST);
    core->settings.core = core;
    atomic_init(&core->refs, 1);
    return core;
}

void core_free(struct settings_core *core)
{
    if (!core)
        return;
    arena_fini(&core->arena);
    free(core);
}

/* ---- what was asked for ---- */

/* `name=value` of -c, without NUL. As on PostgreSQL's command line, - in a name stands for _. */
static enum code override_entry(struct load *load, struct str text, struct conf_entry *entry)
{
    struct arena *arena = &load->core->arena;
    struct conf_scan scan = { text, 1 };

    struct conf_token name = conf_token_next(&scan);
    struct conf_token equals = conf_token_next(&scan);
    if (name.kind != CONF_TOKEN_QUALIFIED || equals.kind != CONF_TOKEN_EQUALS) {
        size_t at = str_find(text, '=');
        if (at == text.n) {
            (void)diags_add(load->diags, SEV_ERROR, E_SYNTAX, str_of("", 0), 0, "-c %.*s requires a value",
                            STR_ARG(conninfo_hidden_word(arena, text)));
            return OK;
        }
        char *key = arena_c(arena, str_first(text, at));
        if (!key)
            return E_NOMEM;
        for (size_t i = 0; i < at; i++)
            if (key[i] == '-')
                key[i] = '_';
        name.text = str_of(key, at);
        scan.left = str_from(text, at + 1);
    }
    TRY(conf_entry_set_name(arena, name.text, entry));
    if (!arena_str(arena, scan.left, &entry->value))
        return E_NOMEM;
    return OK;
}

/* The key in front of the dot, or the whole name. */
static struct str key_of(const struct conf_entry *entry)
{
    return entry->sub.p ? str_first(entry->name, entry->name.n - entry->sub.n - 1) : entry->name;
}

static bool is_family(const struct setting_def *def)
{
    struct setting_family families[SETTING_N_FAMILIES];

    setting_families(families);
    for (size_t i = 0; i < SETTING_N_FAMILIES; i++)
        if (families[i].def == def)
            return true;
    return false;
}

static void complain_unknown(struct load *load, struct load_item *item)
{
    const struct conf_entry *entry = item->entry;
    struct str nearest = settings_nearest(key_of(entry));
    struct diag *row = diags_add(load->diags, SEV_ERROR, E_UNDEFINED, entry->file, entry->line,
                                 "unrecognized configuration parameter \"%.*s\"",
                                 STR_ARG(conninfo_hidden_word(load->diags->arena, entry->name)));

    char unseen[UNSEEN_TEXT_MAX];

    item->problem = "unrecognized configuration parameter";
    if (unseen_describe(key_of(entry), UNSEEN_NAME, unseen))
        diags_hint(load->diags, row, "%s", unseen);
    else if (nearest.n > 0 && !entry->sub.p)
        diags_hint(load->diags, row, "Perhaps you meant \"%.*s\".", STR_ARG(nearest));
    else if (nearest.n > 0)
        diags_hint(load->diags, row,
                   "Per database there are upstream.NAME, auth_source.NAME, upstream_login.NAME and "
                   "max_db_connections.NAME, and per user max_user_connections.NAME.");
}

/* KEY.NAME: is there such a name? A limit of databases is none of hosts. */
static bool takes_name(const struct setting_def *def, struct str sub)
{
    if (sub.n == 0 || !is_family(def))
        return false;
    return !settings_names_host(sub) ||
           (settings_host_of(sub).n > 0 && !str_is(str_c(def->name), "max_db_connections"));
}

/* Which row of the table it means; complain when there is none, or when it may not be set. */
static void identify(struct load *load, struct load_item *item)
{
    const struct conf_entry *entry = item->entry;
    const struct setting_def *def = setting_def_find(key_of(entry));

    item->is_family = entry->sub.p != NULL;
    if (!def || (item->is_family && !takes_name(def, entry->sub))) {
        complain_unknown(load, item);
        return;
    }
    item->def = def;
    if (item->from_command_line && str_is(str_c(def->name), "state_directory")) {
        (void)diags_add(load->diags, SEV_ERROR, E_BAD_STATE, entry->file, entry->line,
                        "parameter \"%s\" must be set in the configuration file, where tools find it",
                        def->name);
        item->problem = "setting could not be applied";
        return;
    }
    if (def->context != SETTING_INTERNAL)
        return;
    (void)diags_add(load->diags, SEV_ERROR, E_BAD_STATE, entry->file, entry->line,
                    "parameter \"%s\" cannot be changed", def->name);
    item->problem = "setting could not be applied";
}

static bool same_setting(const struct load_item *a, const struct load_item *b)
{
    return a->def && a->def == b->def && a->is_family == b->is_family &&
           (!a->is_family || settings_sub_compare(a->entry->sub, b->entry->sub) == 0);
}

static int compare_items(const void *a, const void *b)
{
    const struct load_item *x = *(const struct load_item *const *)a, *y = *(const struct load_item *const *)b;

    if (x->def != y->def)
        return x->def < y->def ? -1 : 1;
    if (x->is_family != y->is_family)
        return x->is_family ? 1 : -1;
    int order = x->is_family ? settings_sub_compare(x->entry->sub, y->entry->sub) : 0;
    if (order)
        return order;
    return x < y ? -1 : x > y;
}

/* Sorted by name, ties in the order given: all but the last of a run are superseded. */
static enum code mark_superseded(struct load *load)
{
    struct load_item **sorted = arena_array(&load->core->arena, load->n_items, sizeof *sorted);

    if (!sorted)
        return E_NOMEM;
    for (size_t i = 0; i < load->n_items; i++)
        sorted[i] = &load->items[i];
    if (load->n_items > 1)
        qsort(sorted, load->n_items, sizeof sorted[0], compare_items);
    for (size_t i = 0; i + 1 < load->n_items; i++)
        sorted[i]->superseded = same_setting(sorted[i], sorted[i + 1]);
    return OK;
}

static enum code collect_items(struct load *load)
{
    const struct settings_params *params = load->params;
    const struct conf_entry *entry;
    size_t most = load->entries.n + params->n_overrides;

    load->items = arena_array(&load->core->arena, most, sizeof *load->items);
    struct conf_entry *overrides = arena_array(&load->core->arena, params->n_overrides, sizeof *overrides);
    if (!load->items || !overrides)
        return E_NOMEM;
    STAILQ_FOREACH (entry, &load->entries.list, next)
        if (entry->name.p)
            load->items[load->n_items++] = (struct load_item){ .entry = entry };
    for (size_t i = 0; i < params->n_overrides; i++) {
        TRY(override_entry(load, params->overrides[i], &overrides[i]));
        if (overrides[i].name.p)
            load->items[load->n_items++] = (struct load_item){ .entry = &overrides[i],
                                                               .from_command_line = true };
    }
    for (size_t i = 0; i < load->n_items; i++)
        identify(load, &load->items[i]);
    return mark_superseded(load);
}

/* ---- members ---- */

static void *member_of(struct load *load, const struct setting_def *def)
{
    return (char *)&load->core->settings + def->offset;
}

static enum code set_own(struct load *load, const struct setting_def *def, struct str text,
                         enum setting_source source)
{
    struct value_params params = { &load->core->arena, load->core->settings.dir, def->name };
    struct setting_state *state = &load->core->states[def - setting_defs];
    struct err e = { 0 };

    if (!arena_str(&load->core->arena, text, &state->raw))
        return E_NOMEM;
    enum code code = value_parse(def, &params, state->raw, member_of(load, def), &e);
    CHECK(code == OK || code == E_NOMEM);
    state->source = source;
    return code;
}

/* The directory as an absolute path without "." at its front and slashes at its end. */
static enum code absolute_dir(struct load *load, struct str dir)
{
    struct str *out = &load->core->settings.dir;
    char cwd[PATH_MAX];

    if (str_has_nul(dir) || str_has_nul(load->params->config_file))
        return E_PARAM;
    while (str_starts(dir, STR("./")))
        dir = str_from(dir, 2);
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    if (dir.n > 0 && dir.p[0] == '/')
        return arena_str(&load->core->arena, dir, out) ? OK : E_NOMEM;
    if (!getcwd(cwd, sizeof cwd)) {
        (void)diags_add(load->diags, SEV_ERROR, code_from_errno(errno), dir, 0,
                        "could not determine current directory: %s", strerror(errno));
        return code_from_errno(errno);
    }
    bool here = dir.n == 0 || str_is(dir, ".");
    return arena_printf(&load->core->arena, out, "%s%s%.*s", cwd, here ? "" : "/",
                        STR_ARG(here ? str_of("", 0) : dir))
               ? OK
               : E_NOMEM;
}

/* Boot values, and those that follow from where the gate was started. */
static enum code set_defaults(struct load *load)
{
    for (size_t i = 0; i < setting_n_defs; i++)
        TRY(set_own(load, &setting_defs[i], str_c(setting_defs[i].boot), SETTING_FROM_DEFAULT));
    TRY(set_own(load, setting_def_find(STR("data_directory")), load->core->settings.dir,
                SETTING_FROM_OVERRIDE));
    struct str config_file = load->params->config_file.n ? load->params->config_file : STR("pgseal.conf");
    return set_own(load, setting_def_find(STR("config_file")), config_file, SETTING_FROM_OVERRIDE);
}

static enum code apply_items(struct load *load)
{
    for (size_t i = 0; i < load->n_items; i++) {
        struct load_item *item = &load->items[i];
        if (item->def && !item->problem && !item->superseded && !item->is_family)
            TRY(load_parse(load, item, member_of(load, item->def),
                           &load->core->states[item->def - setting_defs]));
    }
    return OK;
}

static struct load_item *item_of(struct load *load, const struct setting_def *def)
{
    for (size_t i = 0; i < load->n_items; i++)
        if (load->items[i].def == def && !load->items[i].is_family && !load->items[i].superseded)
            return &load->items[i];
    return NULL;
}

/* Settings that need a restart: the running value stays. [src: guc.c, set_config_option, PGC_POSTMASTER] */
static enum code keep_running(struct load *load)
{
    const struct settings_core *running = load->params->running->core;
    struct arena *arena = &load->core->arena;

    for (size_t i = 0; i < setting_n_defs; i++) {
        const struct setting_def *def = &setting_defs[i];
        struct setting_state *state = &load->core->states[i];
        struct str now, was;
        if (def->context != SETTING_POSTMASTER)
            continue;
        struct value_view asked = { member_of(load, def), state->raw };
        struct value_view kept = { (const char *)&running->settings + def->offset, running->states[i].raw };
        TRY(value_render(def, arena, asked, true, &now));
        TRY(value_render(def, arena, kept, true, &was));
        if (str_equal(now, was))
            continue;
        struct load_item *item = item_of(load, def);
        (void)diags_add(load->diags, SEV_LOG, OK, state->sourcefile, state->sourceline,
                        "parameter \"%s\" cannot be changed without restarting the server", def->name);
        if (item)
            item->problem = "setting could not be applied";
        TRY(set_own(load, def, running->states[i].raw, running->states[i].source));
        state->sourcefile = (struct str){ NULL, 0 };
        if (running->states[i].sourcefile.p &&
            !arena_str(arena, running->states[i].sourcefile, &state->sourcefile))
            return E_NOMEM;
        state->sourceline = running->states[i].sourceline;
        state->pending_restart = true;
    }
    return OK;
}

static enum code note_files(struct load *load)
{
    const struct conf_path *path;
    size_t n = 0;

    STAILQ_FOREACH (path, &load->entries.files, next)
        n++;
    struct str *at = arena_array(&load->core->arena, n, sizeof *at);
    if (!at)
        return E_NOMEM;
    n = 0;
    STAILQ_FOREACH (path, &load->entries.files, next)
        at[n++] = path->path;
    load->core->settings.files = (struct settings_names){ at, n };
    return OK;
}

/* [src: PostgreSQL 18, PostmasterMain] */
static void check_reserved(struct load *load)
{
    const struct settings *settings = &load->core->settings;

    if (settings->superuser_reserved_connections < settings->max_connections)
        return;
    (void)diags_add(load->diags, SEV_ERROR, E_CONFIG, STR(""), 0,
                    "\"superuser_reserved_connections\" (%d) must be less than \"max_connections\" (%d)",
                    settings->superuser_reserved_connections, settings->max_connections);
}

enum code load_run(struct load *load)
{
    struct settings_core *core = load->core;
    struct conf_fs disk = conf_fs_disk();
    const struct conf_fs *fs = load->params->fs ? load->params->fs : &disk;

    core->states = arena_array(&core->arena, setting_n_defs, sizeof *core->states);
    if (!core->states)
        return E_NOMEM;
    TRY(absolute_dir(load, load->params->dir));
    TRY(set_defaults(load));
    conf_entries_init(&load->entries, &core->arena);
    enum code code = conf_lex_file(fs, str_c(core->settings.config_file.path), &load->entries, load->diags);
    if (code != OK && code != E_CONFIG)
        return code;
    TRY(note_files(load));
    TRY(collect_items(load));
    TRY(apply_items(load));
    if (load->params->running)
        TRY(keep_running(load));
    check_reserved(load);
    TRY(load_routes(load));
    return rows_build(core);
}
