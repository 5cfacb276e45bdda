#include "conf/render.h"

#include "base/check.h"
#include "conf/defs.h"
#include "conf/settings_impl.h"
#include "lex/conninfo_hide.h"

#include <stdlib.h>

/* The largest unit that divides the value [src: guc.c, convert_int_from_base_unit]. */
static enum code render_seconds(struct arena *arena, int value, struct str *out)
{
    static const struct {
        const char *name;
        int seconds;
    } units[] = { { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } };
    size_t i = 0;

    while (value % units[i].seconds != 0)
        i++;
    return arena_printf(arena, out, "%d%s", value / units[i].seconds, units[i].name) ? OK : E_NOMEM;
}

static enum code render_int(const struct setting_def *def, struct arena *arena, int value, bool with_unit,
                            struct str *out)
{
    if (with_unit && def->unit == UNIT_S && value > 0)
        return render_seconds(arena, value, out);
    return arena_printf(arena, out, def->flags & SETTING_OCTAL ? "%04o" : "%d", value) ? OK : E_NOMEM;
}

static struct str render_word(const struct setting_def *def, const void *member)
{
    int value;

    memcpy(&value, member, sizeof value);
    for (size_t i = 0; i < def->words.n; i++)
        if (def->words.at[i].value == value)
            return str_c(def->words.at[i].word);
    UNREACHABLE();
}

enum code value_render(const struct setting_def *def, struct arena *arena, struct value_view value,
                       bool with_unit, struct str *out)
{
    const void *member = value.member;

    switch (def->type) {
    case SETTING_BOOL:
        *out = *(const bool *)member ? STR("on") : STR("off");
        return OK;
    case SETTING_INT:
        return render_int(def, arena, *(const int *)member, with_unit, out);
    case SETTING_SHARE:
        return arena_printf(arena, out, "%g%%", (double)*(const int *)member / SHARE_PERCENT) ? OK : E_NOMEM;
    case SETTING_STRING:
        *out = *(const struct str *)member;
        return OK;
    case SETTING_FILE: {
        const struct settings_file *file = member;
        *out = def->flags & SETTING_ABSOLUTE ? str_c(file->path) : file->text;
        return OK;
    }
    case SETTING_ENUM:
        *out = render_word(def, member);
        return OK;
    case SETTING_NAMES:
    case SETTING_DIRS:
    case SETTING_FLAGS:
    case SETTING_LOGINS:
    case SETTING_NETS:
        *out = value.raw;
        return OK;
    }
    UNREACHABLE();
}

static const char *vartype_of(enum setting_type type)
{
    switch (type) {
    case SETTING_BOOL:
        return "bool";
    case SETTING_INT:
        return "integer";
    case SETTING_ENUM:
        return "enum";
    case SETTING_SHARE:
    case SETTING_STRING:
    case SETTING_FILE:
    case SETTING_NAMES:
    case SETTING_DIRS:
    case SETTING_FLAGS:
    case SETTING_LOGINS:
    case SETTING_NETS:
        return "string";
    }
    UNREACHABLE();
}

/* Limits of numbers, words of enumerations. */
static enum code render_domain(const struct setting_def *def, struct arena *arena, struct setting_row *row)
{
    if (def->type == SETTING_INT && (!arena_printf(arena, &row->min_val, "%d", def->min) ||
                                     !arena_printf(arena, &row->max_val, "%d", def->max)))
        return E_NOMEM;
    if (def->type != SETTING_ENUM)
        return OK;
    struct str *words = arena_array(arena, def->words.n, sizeof *words);
    size_t n = 0;
    if (!words)
        return E_NOMEM;
    for (size_t i = 0; i < def->words.n; i++)
        if (def->words.at[i].value == def->words.at[i].shown && def->words.at[i].value >= def->min &&
            def->words.at[i].value <= def->max)
            words[n++] = str_c(def->words.at[i].word);
    row->enumvals = (struct settings_names){ words, n };
    return OK;
}

/* What the table alone says. An octal setting's boot value is decimal in pg_settings [src: PostgreSQL 18, guc_funcs.c GetConfigOptionValues]. */
static enum code render_constants(const struct setting_def *def, struct arena *arena, struct setting_row *row)
{
    row->name = str_c(def->name);
    row->category = str_c(def->category);
    row->short_desc = str_c(def->short_desc);
    if (def->extra_desc)
        row->extra_desc = str_c(def->extra_desc);
    row->vartype = str_c(vartype_of(def->type));
    row->context = def->context;
    row->hidden = def->flags & SETTING_HIDDEN;
    row->secret = def->flags & SETTING_SECRET;
    if (def->unit == UNIT_S)
        row->unit = STR("s");
    TRY(render_domain(def, arena, row));
    if (!(def->flags & SETTING_ABSOLUTE))
        row->boot_val = str_c(def->boot);
    if (def->flags & SETTING_OCTAL && !arena_printf(arena, &row->boot_val, "%ld", strtol(def->boot, NULL, 0)))
        return E_NOMEM;
    return OK;
}

static enum code render_values(const struct setting_def *def, struct arena *arena, const void *member,
                               const struct setting_state *state, struct setting_row *row)
{
    row->raw = state->raw;
    row->source = state->source;
    row->sourcefile = state->sourcefile;
    row->sourceline = state->sourceline;
    row->pending_restart = state->pending_restart;
    struct value_view value = { member, state->raw };
    TRY(value_render(def, arena, value, true, &row->show));
    TRY(value_render(def, arena, value, false, &row->setting));
    if (def->flags & SETTING_CONNINFO)
        row->show = row->setting = conninfo_hidden(arena, row->setting);
    row->reset_val = row->setting;
    if (def->flags & SETTING_OCTAL && !arena_printf(arena, &row->reset_val, "%d", *(const int *)member))
        return E_NOMEM;
    return OK;
}

enum code family_name(struct arena *arena, const char *key, struct str database, struct str *out)
{
    bool plain = database.n > 0 && !(database.p[0] >= '0' && database.p[0] <= '9');

    for (size_t i = 0; i < database.n; i++) {
        char c = database.p[i];
        plain &= (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                 (unsigned char)c >= 0x80;
    }
    if (plain)
        return arena_printf(arena, out, "%s.%.*s", key, STR_ARG(database)) ? OK : E_NOMEM;
    size_t key_n = strlen(key), n = 0;
    char *to = arena_alloc(arena, key_n + 2 * database.n + 4);
    if (!to)
        return E_NOMEM;
    memcpy(to, key, key_n);
    n = key_n;
    to[n++] = '.';
    to[n++] = '"';
    for (size_t i = 0; i < database.n; i++) {
        if (database.p[i] == '"')
            to[n++] = '"';
        to[n++] = database.p[i];
    }
    to[n++] = '"';
    *out = str_of(to, n);
    return OK;
}

/* The settings of one database or user. */
struct named {
    struct str name;
    const void *values;
    const struct setting_state *states; /* SETTING_N_FAMILIES */
};

static enum code add_named_rows(struct settings_core *core, const struct named *named,
                                struct setting_row *rows, size_t *n)
{
    struct setting_family families[SETTING_N_FAMILIES];

    setting_families(families);
    for (size_t f = 0; f < SETTING_N_FAMILIES; f++) {
        const struct setting_state *state = &named->states[f];
        if (state->source == SETTING_FROM_DEFAULT)
            continue;
        struct setting_row *row = &rows[(*n)++];
        TRY(render_constants(families[f].def, &core->arena, row));
        TRY(family_name(&core->arena, families[f].def->name, named->name, &row->name));
        TRY(render_values(families[f].def, &core->arena, (const char *)named->values + families[f].offset,
                          state, row));
        row->short_desc = str_c(families[f].short_desc);
    }
    return OK;
}

static enum code add_family_rows(struct settings_core *core, struct setting_row *rows, size_t *n)
{
    for (size_t r = 1; r < core->settings.n_routes; r++) {
        const struct settings_route *route = &core->settings.routes[r];
        const struct named named = { route->database, route, &core->route_states[r * SETTING_N_FAMILIES] };
        TRY(add_named_rows(core, &named, rows, n));
    }
    for (size_t u = 0; u < core->settings.n_users; u++) {
        const struct settings_user *user = &core->settings.users[u];
        const struct named named = { user->user, user, &core->user_states[u * SETTING_N_FAMILIES] };
        TRY(add_named_rows(core, &named, rows, n));
    }
    return OK;
}

static int compare_rows(const void *a, const void *b)
{
    return str_compare(((const struct setting_row *)a)->name, ((const struct setting_row *)b)->name);
}

enum code rows_build(struct settings_core *core)
{
    size_t n = 0;
    size_t most = setting_n_defs + (core->settings.n_routes + core->settings.n_users) * SETTING_N_FAMILIES;
    struct setting_row *rows = arena_array(&core->arena, most, sizeof *rows);

    if (!rows)
        return E_NOMEM;
    for (; n < setting_n_defs; n++) {
        const struct setting_def *def = &setting_defs[n];
        TRY(render_constants(def, &core->arena, &rows[n]));
        TRY(render_values(def, &core->arena, (const char *)&core->settings + def->offset, &core->states[n],
                          &rows[n]));
    }
    TRY(add_family_rows(core, rows, &n));
    qsort(rows, n, sizeof rows[0], compare_rows);
    core->settings.rows = rows;
    core->settings.n_rows = n;
    return OK;
}
