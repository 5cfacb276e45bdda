/* Settings as a value: loading, counting references, asking. */
#include "conf/settings.h"

#include "base/check.h"
#include "base/ip.h"
#include "conf/defs.h"
#include "conf/load.h"
#include "lex/conninfo_hide.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

enum code settings_load(const struct settings_params *params, struct settings **out, struct diags *diags)
{
    size_t errors = diags->errors;
    struct settings_core *core = core_new();

    if (!core)
        return E_NOMEM;
    struct load load = { .params = params, .core = core, .diags = diags };
    enum code code = load_run(&load);
    if (code == OK && diags->nomem)
        code = E_NOMEM;
    if (code == OK && diags->errors > errors)
        code = E_CONFIG;
    if (code != OK) {
        core_free(core);
        return code;
    }
    *out = &core->settings;
    return OK;
}

struct settings *settings_ref(const struct settings *settings)
{
    struct settings_core *core = settings->core;

    (void)atomic_fetch_add_explicit(&core->refs, 1, memory_order_relaxed);
    return &core->settings;
}

void settings_unref(struct settings *settings)
{
    if (settings && atomic_fetch_sub_explicit(&settings->core->refs, 1, memory_order_acq_rel) == 1)
        core_free(settings->core);
}

void settings_unrefp(struct settings **settings)
{
    settings_unref(*settings);
    *settings = NULL;
}

const char *settings_state_dir(const struct settings *settings)
{
    return settings->state_directory.path ? settings->state_directory.path : settings->dir.p;
}

const struct setting_row *settings_find(const struct settings *settings, struct str name)
{
    const struct setting_def *def = setting_def_find(name);
    size_t low = 0, high = settings->n_rows;

    if (def)
        name = str_c(def->name);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_compare(name, settings->rows[middle].name);
        if (order == 0)
            return &settings->rows[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool net_holds(const struct settings_net *net, bool is_ipv6, const uint8_t *address)
{
    if (net->is_ipv6 != is_ipv6)
        return false;
    for (unsigned i = 0; i < net->prefix_bits; i++)
        if ((net->address[i / 8] ^ address[i / 8]) & (0x80u >> i % 8))
            return false;
    return true;
}

bool settings_proxy_expected(const struct settings *settings, const struct sockaddr *peer)
{
    uint8_t address[16] = { 0 };
    bool is_ipv6 = peer->sa_family == AF_INET6;

    if (peer->sa_family == AF_INET) {
        memcpy(address, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
    } else if (is_ipv6) {
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, 16);
        if (ip_is_mapped(address)) {
            is_ipv6 = false;
            memmove(address, address + IP_MAPPED_BITS / 8, 4);
        }
    } else {
        return false;
    }
    for (size_t i = 0; i < settings->proxy_protocol_from.n; i++)
        if (net_holds(&settings->proxy_protocol_from.at[i], is_ipv6, address))
            return true;
    return false;
}

bool settings_listed(const struct settings_names *names, struct str name)
{
    for (size_t i = 0; i < names->n; i++)
        if (str_equal(names->at[i], name))
            return true;
    return false;
}

enum severity settings_log_severity(const struct settings *settings)
{
    switch (settings->log_min_messages) {
    case CONF_LOG_DEBUG5:
    case CONF_LOG_DEBUG4:
    case CONF_LOG_DEBUG3:
    case CONF_LOG_DEBUG2:
    case CONF_LOG_DEBUG1:
    case CONF_LOG_DEBUG:
        return SEV_DEBUG;
    case CONF_LOG_INFO:
        return SEV_INFO;
    case CONF_LOG_NOTICE:
        return SEV_NOTICE;
    case CONF_LOG_WARNING:
        return SEV_WARNING;
    case CONF_LOG_ERROR:
        return SEV_ERROR;
    case CONF_LOG_LOG:
        return SEV_LOG;
    case CONF_LOG_FATAL:
        return SEV_FATAL;
    case CONF_LOG_PANIC:
        return SEV_PANIC;
    }
    UNREACHABLE();
}

static void log_removed(struct diags *diags, const struct setting_row *row)
{
    (void)diags_add(diags, SEV_LOG, OK, str_of("", 0), 0,
                    "parameter \"%.*s\" removed from configuration file, reset to default",
                    STR_ARG(row->name));
}

void settings_log_changes(const struct settings *before, const struct settings *after, struct diags *diags)
{
    for (size_t i = 0; i < after->n_rows; i++) {
        const struct setting_row *row = &after->rows[i];
        const struct setting_row *old = settings_find(before, row->name);
        if (old && (row->secret ? str_equal(old->raw, row->raw) : str_equal(old->show, row->show)))
            continue;
        if (old && row->source == SETTING_FROM_DEFAULT)
            log_removed(diags, row);
        else if (row->secret)
            (void)diags_add(diags, SEV_LOG, OK, str_of("", 0), 0, "parameter \"%.*s\" changed",
                            STR_ARG(row->name));
        else
            (void)diags_add(diags, SEV_LOG, OK, str_of("", 0), 0, "parameter \"%.*s\" changed to \"%.*s\"",
                            STR_ARG(row->name), STR_ARG(row->raw));
    }
    for (size_t i = 0; i < before->n_rows; i++)
        if (!settings_find(after, before->rows[i].name))
            log_removed(diags, &before->rows[i]);
}

/* ---- pg_file_settings ---- */

static const struct load_item *item_of_entry(const struct load *load, const struct conf_entry *entry)
{
    for (size_t i = 0; i < load->n_items; i++)
        if (load->items[i].entry == entry)
            return &load->items[i];
    return NULL;
}

/* A value without its secrets; under a misspelt name it may be a connection string, too. */
static struct str shown_value(const struct load_item *item, const struct conf_entry *entry,
                              struct arena *arena)
{
    struct str value = entry->value;
    const struct setting_def *def = item ? item->def : NULL;
    bool conninfo = def ? def->flags & SETTING_CONNINFO : str_find(value, '=') < value.n;

    return conninfo ? conninfo_hidden(arena, value) : conninfo_hidden_word(arena, value);
}

static enum code fill_file_row(const struct load *load, const struct conf_entry *entry, struct arena *arena,
                               struct setting_file_row *row)
{
    const struct load_item *item = item_of_entry(load, entry);
    struct str error = item && item->problem ? str_c(item->problem) : entry->error;

    row->sourceline = entry->line;
    row->applied = item && !item->problem && !item->superseded && diags_ok(load->diags);
    if (!arena_str(arena, entry->file, &row->sourcefile) ||
        (entry->name.p && !arena_str(arena, entry->name, &row->name)) ||
        (entry->name.p && !arena_str(arena, shown_value(item, entry, arena), &row->setting)) ||
        (error.p && !arena_str(arena, error, &row->error)))
        return E_NOMEM;
    return OK;
}

static enum code collect_file_rows(const struct load *load, struct arena *arena,
                                   const struct setting_file_row **out_rows, size_t *out_n)
{
    const struct conf_entry *entry;
    size_t n = 0;
    struct setting_file_row *rows = arena_array(arena, load->entries.n, sizeof *rows);

    if (!rows)
        return E_NOMEM;
    STAILQ_FOREACH (entry, &load->entries.list, next) {
        rows[n].seqno = (unsigned)n + 1;
        TRY(fill_file_row(load, entry, arena, &rows[n]));
        n++;
    }
    *out_rows = rows;
    *out_n = n;
    return OK;
}

enum code settings_file_rows(const struct settings_params *params, struct arena *arena,
                             const struct setting_file_row **out_rows, size_t *out_n)
{
    struct settings_core *core = core_new();
    struct diags diags;

    if (!core)
        return E_NOMEM;
    diags_init(&diags, &core->arena);
    struct load load = { .params = params, .core = core, .diags = &diags };
    enum code code = load_run(&load);
    if (code != E_NOMEM && code != E_LIMIT && code != E_PARAM)
        code = collect_file_rows(&load, arena, out_rows, out_n);
    core_free(core);
    return code;
}
