/* The views as SQL's relations: who gives which rows, and who may see them. */
#include "status/schema.h"

#include "base/check.h"
#include "status/catalog.h"
#include "status/functions.h"
#include "status/vars.h"
#include "status/views.h"

const struct status_context *status_context_of(const struct db_context *cx)
{
    return (const struct status_context *)(const void *)cx;
}

static enum code source_count(const struct status_context *cx, enum view view, size_t *out, struct err *e)
{
    *out = 0;
    return cx->rows == NULL ? OK : cx->rows->count(cx->rows->ctx, view, out, e);
}

static enum code schema_count(const struct db_context *db, unsigned relation, size_t *out, struct err *e)
{
    const struct status_context *cx = status_context_of(db);
    enum view view = (enum view)relation;

    if (view == VIEW_SSL_EXTENSION_INFO) {
        *out = cx->self->tls.extension_count;
        return OK;
    }
    if (view_def(view)->access == ACCESS_BUILTIN) {
        *out = catalog_count(view);
        return OK;
    }
    TRY(source_count(cx, view, out, e));
    if (view == VIEW_PG_SETTINGS && cx->vars != NULL)
        *out += vars_count(cx->vars);
    return OK;
}

static void fill_extension(const struct ssl_extension *extension, struct row_ssl_extension_info *row)
{
    row->name = cell_text(extension->name);
    row->value = cell_text(extension->value);
    row->critical = cell_bool(extension->critical);
}

/* pg_settings ends with the session's own settings; those that the gate has too are shown as the gate's. */
static bool load_var(const struct status_context *cx, size_t i, size_t n_source, union view_row *out)
{
    struct row_pg_settings *row = &out->pg_settings;
    struct str name, value, help;

    if (!vars_at(cx->vars, i, &name, &value, &help))
        return false;
    for (size_t k = 0; k < n_source; k++) {
        struct row_rights rights = { 0 };
        cx->rows->fill(cx->rows->ctx, VIEW_PG_SETTINGS, k, out, &rights);
        if (row->name.kind == CELL_TEXT && str_equal(row->name.text, name))
            return false;
    }
    memset(out, 0, sizeof *out);
    row->name = cell_text(name);
    row->setting = row->reset_val = row->boot_val = cell_text(value);
    row->category = cell_c("Client Connection Defaults");
    row->short_desc = cell_text(help);
    row->context = cell_c("user");
    row->vartype = cell_c("string");
    row->source = cell_c("default");
    row->pending_restart = cell_bool(false);
    return true;
}

static bool load_row(const struct status_context *cx, enum view view, size_t row, union view_row *out)
{
    struct row_rights rights = { 0 };
    struct err ignored;
    size_t n = SIZE_MAX;

    if (view == VIEW_SSL_EXTENSION_INFO) {
        fill_extension(&cx->self->tls.extensions[row], &out->ssl_extension_info);
        return true;
    }
    if (view_def(view)->access == ACCESS_BUILTIN) {
        catalog_fill(view, row, cx->self->database, out);
        return true;
    }
    if (view == VIEW_PG_SETTINGS && source_count(cx, view, &n, &ignored) == OK && row >= n)
        return load_var(cx, row - n, n, out);
    cx->rows->fill(cx->rows->ctx, view, row, out, &rights);
    return !rights.restricted; /* most of those the source never had */
}

static bool schema_load(const struct db_context *db, unsigned relation, size_t row, struct cell *cells)
{
    return load_row(status_context_of(db), (enum view)relation, row, (union view_row *)(void *)cells);
}

const struct sql_schema *status_schema(void)
{
    static const struct relation_call calls[] = {
        { "pg_hba_file_rules", VIEW_PG_HBA_FILE_RULES },
        { "pg_ident_file_mappings", VIEW_PG_IDENT_FILE_MAPPINGS },
        { "pg_get_keywords", VIEW_PG_GET_KEYWORDS },
        { "ssl_extension_info", VIEW_SSL_EXTENSION_INFO },
        { "pg_show_all_settings", VIEW_PG_SETTINGS },
        { "pg_show_all_file_settings", VIEW_PG_FILE_SETTINGS },
    };
    static const struct sql_schema schema = {
        .relations = view_relations,
        .relation_count = VIEW_COUNT,
        .names = &view_names,
        .calls = calls,
        .call_count = COUNT_OF(calls),
        .functions = status_functions,
        .settings = VIEW_PG_SETTINGS,
        .setting_name = vars_proper_name,
        .count = schema_count,
        .load = schema_load,
    };

    return &schema;
}
