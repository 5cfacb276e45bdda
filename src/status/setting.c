/* SHOW and current_setting(). [src: PostgreSQL 18, convert_int_from_base_unit, "pg_settings"] */
#include "status/setting.h"

#include "base/buf.h"
#include "base/check.h"
#include "status/schema.h"
#include "status/vars.h"

/* Units from large to small; a value is shown in the largest that loses nothing. */
static const struct {
    const char *base;
    const char *name;
    int64_t factor;
} units[] = {
    { "s", "d", 86400 },
    { "s", "h", 3600 },
    { "s", "min", 60 },
    { "s", "s", 1 },
    { "ms", "d", 86400000 },
    { "ms", "h", 3600000 },
    { "ms", "min", 60000 },
    { "ms", "s", 1000 },
    { "ms", "ms", 1 },
    { "min", "d", 1440 },
    { "min", "h", 60 },
    { "min", "min", 1 },
    { "kB", "TB", 1073741824 },
    { "kB", "GB", 1048576 },
    { "kB", "MB", 1024 },
    { "kB", "kB", 1 },
    { "B", "TB", 1099511627776 },
    { "B", "GB", 1073741824 },
    { "B", "MB", 1048576 },
    { "B", "kB", 1024 },
    { "B", "B", 1 },
    { "8kB", "GB", 131072 },
    { "8kB", "MB", 128 },
};

/* A value and its unit as SHOW writes them: 60 and "s" give "1min". */
static void setting_write(struct buf *out, struct str value, struct str unit)
{
    int64_t v;

    if (unit.n > 0 && str_to_i64(value, 1, INT64_MAX, &v)) {
        for (size_t i = 0; i < COUNT_OF(units); i++) {
            if (str_is(unit, units[i].base) && v % units[i].factor == 0) {
                buf_printf(out, "%lld%s", (long long)(v / units[i].factor), units[i].name);
                return;
            }
        }
    }
    buf_append_str(out, value);
}

static enum code show_row(const struct row_pg_settings *row, const struct row_rights *rights, struct buf *out,
                          struct err *e)
{
    if (rights->restricted) {
        (void)err_set(e, E_ACCESS, "permission denied to examine \"%.*s\"", STR_ARG(row->name.text));
        err_detail(
            e, "Only roles with privileges of the \"pg_read_all_settings\" role may examine this parameter.");
        return E_ACCESS;
    }
    if (row->setting.kind == CELL_TEXT)
        setting_write(out, row->setting.text, row->unit.kind == CELL_TEXT ? row->unit.text : str_of("", 0));
    return OK;
}

enum code setting_show(const struct status_context *cx, struct str name, struct buf *out,
                       struct str *out_name, struct err *e)
{
    struct str value, shown;
    size_t count = 0;

    name = vars_proper_name(name);
    if (cx->rows != NULL)
        TRY(cx->rows->count(cx->rows->ctx, VIEW_PG_SETTINGS, &count, e));
    for (size_t i = 0; i < count; i++) {
        union view_row row;
        struct row_rights rights = { 0 };
        memset(&row, 0, sizeof row);
        cx->rows->fill(cx->rows->ctx, VIEW_PG_SETTINGS, i, &row, &rights);
        if (row.pg_settings.name.kind != CELL_TEXT || !str_equal_nocase(row.pg_settings.name.text, name))
            continue;
        if (vars_get(cx->vars, name, &shown, &value))
            break; /* what the session has set comes first */
        if (out_name != NULL)
            *out_name = row.pg_settings.name.text;
        return show_row(&row.pg_settings, &rights, out, e);
    }
    if (!vars_get(cx->vars, name, &shown, &value))
        return err_set(e, E_UNDEFINED, "unrecognized configuration parameter \"%.*s\"", STR_ARG(name));
    buf_append_str(out, value);
    if (out_name != NULL)
        *out_name = shown;
    return OK;
}
