#include "gate/views/rows_config.h"

#include "base/check.h"
#include "conf/defs.h"
#include "conf/hosts_file.h"
#include "gate/load/snapshot.h"
#include "gate/views/rows.h"
#include "gate/work/worker.h"
#include "lex/hba_lex.h"
#include "policy/method.h"
#include "policy/policy.h"
#include "policy/reach.h"
#include "policy/rows.h"
#include "policy/shadow.h"
#include "policy/words.h"
#include "status/file_rows.h"

#include <arpa/inet.h>

/* ---- cells; texts whose pointer is NULL are NULL ---- */

static struct cell rows_config_text(struct str s)
{
    return s.p ? cell_text(s) : (struct cell){ .kind = CELL_NULL };
}

static struct cell number(unsigned n)
{
    return n ? cell_int(n) : (struct cell){ .kind = CELL_NULL };
}

static enum code rows_config_no_memory(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* Room for n rows. */
static enum code rows_config_begin(struct rows *rows, size_t n, struct rows_list *out, struct err *e)
{
    out->at = arena_array(&rows->arena, n, sizeof *out->at);
    if (!out->at)
        return rows_config_no_memory(e);
    out->n = n;
    return OK;
}

/* ---- settings ---- */

static void fill_setting(const struct setting_row *row, struct row_pg_settings *out)
{
    out->name = rows_config_text(row->name);
    out->setting = rows_config_text(row->setting);
    out->unit = rows_config_text(row->unit);
    out->category = rows_config_text(row->category);
    out->short_desc = rows_config_text(row->short_desc);
    out->extra_desc = rows_config_text(row->extra_desc);
    out->context = cell_c(setting_context_name(row->context));
    out->vartype = rows_config_text(row->vartype);
    out->source = cell_c(setting_source_name(row->source));
    out->min_val = rows_config_text(row->min_val);
    out->max_val = rows_config_text(row->max_val);
    if (row->enumvals.n > 0)
        out->enumvals = cell_texts(row->enumvals.at, row->enumvals.n);
    out->boot_val = rows_config_text(row->boot_val);
    out->reset_val = rows_config_text(row->reset_val);
    out->sourcefile = rows_config_text(row->sourcefile);
    out->sourceline = number(row->sourceline);
    out->pending_restart = cell_bool(row->pending_restart);
}

enum code rows_make_settings(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);

    TRY(rows_config_begin(rows, settings->n_rows, out, e));
    for (size_t i = 0; i < settings->n_rows; i++)
        fill_setting(&settings->rows[i], &out->at[i].pg_settings);
    return OK;
}

bool rows_setting_hidden(const struct rows *rows, size_t index)
{
    return snapshot_settings(rows->snapshot)->rows[index].hidden;
}

enum code rows_make_file_settings(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct settings_params params = {
        .dir = str_c(rows->shared->dir),
        .overrides = rows->shared->overrides,
        .n_overrides = rows->shared->n_overrides,
        .running = snapshot_settings(rows->snapshot),
    };
    const struct setting_file_row *found;
    size_t n;

    if (settings_file_rows(&params, &rows->arena, &found, &n) != OK)
        return rows_config_no_memory(e);
    TRY(rows_config_begin(rows, n, out, e));
    for (size_t i = 0; i < n; i++) {
        struct row_pg_file_settings *row = &out->at[i].pg_file_settings;
        row->sourcefile = rows_config_text(found[i].sourcefile);
        row->sourceline = number(found[i].sourceline);
        row->seqno = cell_int(found[i].seqno);
        row->name = rows_config_text(found[i].name);
        row->setting = rows_config_text(found[i].setting);
        row->applied = cell_bool(found[i].applied);
        row->error = rows_config_text(found[i].error);
    }
    return OK;
}

/* ---- rules and maps, as the files hold them now ---- */

static struct policy_params policy_params(const struct rows *rows)
{
    const struct settings *settings = snapshot_settings(rows->snapshot);

    return (struct policy_params){
        .hba_file = str_c(settings->hba_file.path ? settings->hba_file.path : ""),
        .ident_file = str_c(settings->ident_file.path ? settings->ident_file.path : ""),
        .ssl_on = settings->ssl,
        .features = { .roles_known = true, .oauth_unchecked = true, .sans = true },
        .reload = true,
    };
}

enum code rows_make_hba(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct policy_params params = policy_params(rows);
    struct hba_rows found;

    TRY(policy_hba_rows(&params, &rows->arena, &found, NULL, e));
    TRY(rows_config_begin(rows, found.n, out, e));
    for (size_t i = 0; i < found.n; i++)
        file_row_hba(&found.rows[i], &out->at[i].pg_hba_file_rules);
    return OK;
}

enum code rows_make_ident(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct policy_params params = policy_params(rows);
    struct ident_rows found;

    TRY(policy_ident_rows(&params, &rows->arena, &found, NULL, e));
    TRY(rows_config_begin(rows, found.n, out, e));
    for (size_t i = 0; i < found.n; i++)
        file_row_ident(&found.rows[i], &out->at[i].pg_ident_file_mappings);
    return OK;
}

/* As PostgreSQL, which takes a file that is not there for an empty one. */
enum code rows_make_hosts(struct rows *rows, struct rows_list *out, struct err *e)
{
    const char *path = snapshot_settings(rows->snapshot)->hosts_file.path;
    const struct hba_lex_params lex = { 0 };
    struct hba_lines lines;
    struct host_lines found = { 0 };
    unsigned number = 0;

    enum code code = path ? hosts_file_read(&lex, str_c(path), &rows->arena, &lines, &found, e) : E_NO_FILE;
    if (code != OK && code != E_NO_FILE)
        return code;
    TRY(rows_config_begin(rows, found.n, out, e));
    for (size_t i = 0; i < found.n; i++)
        file_row_host(&found.at[i], number += !found.at[i].error.p, &out->at[i].pgseal_hosts);
    return OK;
}

/* ---- rules in force ---- */

static struct cell names(struct rows *rows, const struct hba_name *from, size_t n)
{
    struct str *items = arena_array(&rows->arena, n, sizeof *items);

    for (size_t i = 0; items && i < n; i++)
        items[i] = from[i].text;
    return items ? cell_texts(items, n) : (struct cell){ .kind = CELL_NULL };
}

static struct cell network(struct rows *rows, sa_family_t family, const uint8_t *bytes)
{
    char shown[INET6_ADDRSTRLEN];
    struct str kept;

    if (!inet_ntop(family, bytes, shown, sizeof shown) || !arena_str(&rows->arena, str_c(shown), &kept))
        return (struct cell){ .kind = CELL_NULL };
    return cell_text(kept);
}

static void fill_address(struct rows *rows, const struct hba_addr *from, struct row_pgseal_rules *out)
{
    switch (from->kind) {
    case HBA_ADDR_NONE:
        return;
    case HBA_ADDR_ALL:
        out->address = cell_c("all");
        return;
    case HBA_ADDR_SAMEHOST:
        out->address = cell_c("samehost");
        return;
    case HBA_ADDR_SAMENET:
        out->address = cell_c("samenet");
        return;
    case HBA_ADDR_NAME:
        out->address = cell_text(from->name);
        return;
    case HBA_ADDR_NET:
        out->address = network(rows, from->family, from->addr);
        out->netmask = network(rows, from->family, from->mask);
        return;
    }
}

/* FILE:LINE of each; NULL where the rule decides something. */
static enum code cover_lines(struct rows *rows, const struct shadow *shadow, struct cell *out)
{
    const struct policy *policy = snapshot_policy(rows->snapshot);
    struct str *lines = arena_array(&rows->arena, shadow->n, sizeof *lines);

    if (!lines)
        return E_NOMEM;
    for (size_t i = 0; i < shadow->n; i++) {
        const struct hba_rule *by = policy_rule(policy, shadow->by[i] - 1);
        if (!arena_printf(&rows->arena, &lines[i], "%.*s:%u", STR_ARG(by->file), by->line))
            return E_NOMEM;
    }
    *out = shadow->n > 0 ? cell_texts(lines, shadow->n) : (struct cell){ .kind = CELL_NULL };
    return OK;
}

enum code rows_make_rules(struct rows *rows, struct rows_list *out, struct err *e)
{
    const struct policy *policy = snapshot_policy(rows->snapshot);
    const struct shadow *shadows;

    TRY(rows_config_begin(rows, policy_rule_count(policy), out, e));
    if (policy_shadows(policy, &rows->arena, &shadows) != OK)
        return rows_config_no_memory(e);
    for (size_t i = 0; i < out->n; i++) {
        const struct hba_rule *rule = policy_rule(policy, i);
        struct row_pgseal_rules *row = &out->at[i].pgseal_rules;
        struct rule_hits hits = snapshot_hits(rows->snapshot, rule);
        row->rule_number = cell_int(rule->number);
        row->file_name = cell_text(rule->file);
        row->line_number = cell_int(rule->line);
        row->type = cell_c(hba_type_name(rule->type));
        row->database = names(rows, rule->databases, rule->n_databases);
        row->user_name = names(rows, rule->users, rule->n_users);
        fill_address(rows, &rule->address, row);
        row->auth_method = cell_c(hba_method_name(rule->method));
        struct str_list options = { 0 };
        if (policy_rule_options(&rows->arena, rule, HBA_SECRETS_HIDDEN, &options) != OK)
            return err_set(e, E_NOMEM, "out of memory");
        if (options.n > 0)
            row->options = cell_texts(options.items, options.n);
        row->hits = cell_int(hits.count);
        if (hits.last_us)
            row->last_hit = cell_int(hits.last_us);
        row->shadowed_by = number(shadows[i].n > 0 ? shadows[i].by[0] : 0);
        if (cover_lines(rows, &shadows[i], &row->covered_by) != OK)
            return rows_config_no_memory(e);
    }
    return OK;
}

/* ---- findings ---- */

enum code rows_make_findings(struct rows *rows, struct rows_list *out, struct err *e)
{
    struct gate_findings found = { .n = 0 };

    if (rows->shared->auditor)
        TRY(rows->shared->auditor(rows->snapshot, rows->now_us / 1000000, &rows->arena, &found, e));
    TRY(rows_config_begin(rows, found.n, out, e));
    for (size_t i = 0; i < found.n; i++) {
        out->at[i].pgseal_findings = (struct row_pgseal_findings){
            .id = cell_c(found.items[i].id),
            .severity = cell_c(found.items[i].severity),
            .where = cell_text(found.items[i].where),
            .what = cell_text(found.items[i].what),
            .fix = cell_text(found.items[i].fix),
        };
    }
    return OK;
}
