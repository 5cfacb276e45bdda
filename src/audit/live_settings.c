#include "audit/live_settings.h"

#include "audit/live_audit.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/check.h"
#include "client/conninfo.h"

/* Passwords of primary_conninfo stay where they are. What this session has set is not the server's. */
static const struct live_statement settings_statement = {
    "the settings",
    "SELECT name, CASE WHEN name = 'primary_conninfo' THEN regexp_replace(regexp_replace(setting,"
    " '(password|sslpassword|passphrase)\\s*=\\s*(''([^''\\\\]|\\\\.)*''|\\S+)', '', 'gi'), '//([^:@/]*):.*@', '//\\1@')"
    " WHEN source = 'session' THEN reset_val ELSE setting END,"
    " sourcefile, sourceline, pending_restart FROM pg_catalog.pg_settings"
    " UNION ALL SELECT n, current_setting(n, true), NULL, NULL, false FROM unnest(ARRAY['rds.force_ssl',"
    " 'require_secure_transport']) n WHERE current_setting(n, true) IS NOT NULL AND n NOT IN (SELECT name FROM"
    " pg_catalog.pg_settings)",
    NULL,
    ITEM_TLS | ITEM_CERTIFICATE | ITEM_RULES,
};

/* Files of another machine cannot be judged by what lies under the same name here. */
static const char *const file_settings[] = { "ssl_cert_file", "ssl_key_file", "ssl_ca_file",
                                             "ssl_crl_file",  "ssl_crl_dir",  "ssl_dh_params_file",
                                             "hba_file",      "ident_file" };

/* Without these nothing can be said about TLS. */
static const char *const needed[] = { "ssl", "ssl_min_protocol_version", "ssl_ciphers", "listen_addresses" };

static bool is_file_setting(struct str name)
{
    return str_is_one_of(name, file_settings, COUNT_OF(file_settings));
}

static enum code live_settings_no_memory(struct live_audit *audit)
{
    return err_set(audit->e, E_NOMEM, "out of memory");
}

static enum code tell_hidden(struct live_audit *audit)
{
    for (size_t i = 0; i < COUNT_OF(needed); i++) {
        struct str why;
        if (subject_raw(&audit->collected->subject, needed[i]))
            continue;
        if (!arena_printf(audit->arena, &why,
                          "the server does not show it; this requires a member of pg_read_all_settings"))
            return live_settings_no_memory(audit);
        TRY(live_audit_unseen(audit, needed[i], why,
                              ITEM_TLS | (i == 0 ? ITEM_RULES | ITEM_CERTIFICATE : 0)));
    }
    return OK;
}

static enum code note_pending(struct live_audit *audit, const struct live_rows *rows)
{
    struct str *pending = arena_array(audit->arena, rows->n, sizeof *pending);

    if (!pending)
        return live_settings_no_memory(audit);
    for (size_t i = 0; i < rows->n; i++)
        if (live_true(rows, i, 4))
            pending[audit->seen->n_pending++] = live_cell(rows, i, 0);
    audit->seen->pending = pending;
    return OK;
}

enum code live_settings(struct live_audit *audit)
{
    struct audit_subject *subject = &audit->collected->subject;
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &settings_statement, &rows, &seen));
    struct subject_setting *raw = arena_array(audit->arena, rows.n, sizeof *raw);
    struct subject_setting *read = arena_array(audit->arena, rows.n, sizeof *read);
    if (!raw || !read)
        return live_settings_no_memory(audit);
    for (size_t i = 0; i < rows.n; i++) {
        raw[i] = (struct subject_setting){ .name = live_cell(&rows, i, 0),
                                           .value = live_cell(&rows, i, 1),
                                           .file = live_cell(&rows, i, 2),
                                           .line = live_number(&rows, i, 3),
                                           .source = SUBJECT_FROM_SERVER,
                                           .in_force = true };
        read[i] = raw[i];
        if (is_file_setting(raw[i].name))
            read[i].value = STR("");
    }
    if (server_settings_make(read, rows.n, subject, audit->arena, &audit->collected->settings) != OK)
        return live_settings_no_memory(audit);
    subject->raw = raw;
    subject->settings_seen = seen;
    TRY(note_pending(audit, &rows));
    return seen ? tell_hidden(audit) : OK;
}

/* ---- in force? ---- */

static const struct live_statement broken_statement = {
    "the settings' files",
    "SELECT sourcefile, sourceline, error FROM pg_catalog.pg_file_settings WHERE error IS NOT NULL",
    "a superuser, or one who was granted it",
    0,
};

/* The time of a file counts in whole seconds, cut off: one that is newer was written after the load. */
static const struct live_statement stale_statement = {
    "the times of the server's files",
    "SELECT f.path, f.rules FROM (SELECT setting AS path, name IN ('hba_file', 'ident_file') AS rules"
    " FROM pg_catalog.pg_settings WHERE setting <> '' AND name IN ('hba_file', 'ident_file', 'ssl_cert_file',"
    " 'ssl_key_file', 'ssl_ca_file', 'ssl_crl_file') UNION SELECT sourcefile, false FROM"
    " pg_catalog.pg_file_settings WHERE sourcefile IS NOT NULL) f"
    " WHERE (pg_catalog.pg_stat_file(f.path, true)).modification > pg_catalog.pg_conf_load_time() ORDER BY 1",
    "a superuser, or a member of pg_read_server_files who was granted pg_stat_file() and pg_file_settings",
    0,
};

enum code live_in_force(struct live_audit *audit)
{
    struct audit_subject *subject = &audit->collected->subject;
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &broken_statement, &rows, &seen));
    for (size_t i = 0; seen && i < rows.n; i++)
        if (!collect_broken(&subject->broken_settings, &subject->n_broken_settings, audit->arena,
                            (struct subject_broken){ live_cell(&rows, i, 0), live_number(&rows, i, 1),
                                                     live_cell(&rows, i, 2) }))
            return live_settings_no_memory(audit);
    rows.n = 0;
    TRY(live_audit_query(audit, &stale_statement, &rows, &seen));
    struct live_stale *stale = arena_array(audit->arena, rows.n, sizeof *stale);
    if (!stale)
        return live_settings_no_memory(audit);
    for (size_t i = 0; seen && i < rows.n; i++)
        stale[audit->seen->n_stale++] = (struct live_stale){ live_cell(&rows, i, 0), live_true(&rows, i, 1) };
    audit->seen->stale = stale;
    return OK;
}
