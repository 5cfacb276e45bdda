#include "audit/live_links.h"

#include "audit/link.h"
#include "audit/live_audit.h"
#include "audit/live_foreign.h"
#include "audit/remedy.h"
#include "base/arena.h"
#include "client/conninfo_text.h"

enum { SUBSCRIPTION_SERVERS_SINCE = 19 };

/* A connection string without its passwords: pairs, and the authority of a URI. */
#define WITHOUT_PASSWORD(text)                                                                               \
    "regexp_replace(regexp_replace(" text                                                                    \
    ", '(^|\\s)(password|sslpassword|scram_client_key|scram_server_key|oauth_client_secret)\\s*=\\s*"        \
    "(''([^''\\\\]|\\\\.)*''|\\S+)', ' ', 'g'), '//([^:@/]*):.*@', '//\\1@')"

static const struct live_statement receiver_statement = {
    "the connection to the primary",
    "SELECT pid, " WITHOUT_PASSWORD("conninfo") " FROM pg_catalog.pg_stat_wal_receiver",
    "a member of pg_read_all_stats",
    ITEM_VERIFIED,
};
static const struct live_statement subscriptions_statement = {
    "the subscriptions",
    "SELECT s.subname, d.datname, " WITHOUT_PASSWORD(
        "s.subconninfo") " FROM pg_catalog.pg_subscription s"
                         " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid ORDER BY 2, 1",
    "a superuser",
    ITEM_VERIFIED,
};
static const struct live_statement databases_statement = {
    "the other databases",
    "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate"
    " AND datname <> current_database() ORDER BY 1",
    NULL,
    0,
};
/* Only where it is, for the text around it may hold a password. Jobs count where the extension pg_cron made the
 * table: another table of that name may be anybody's. */
#define CALLS_DBLINK "~ '\\mdblink(_connect|_connect_u|_exec|_send_query)?\\s*\\('"

static const struct live_statement dblink_statement = {
    "the functions and views that call dblink",
    "SELECT 'function', n.nspname, p.proname, array_length(regexp_split_to_array(substring(p.prosrc FROM"
    " '^(.*?)\\mdblink(?:_connect|_connect_u|_exec|_send_query)?\\s*\\('), E'\\n'), 1)"
    " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
    " JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE l.lanname NOT IN ('c', 'internal')"
    " AND p.prosrc " CALLS_DBLINK
    " UNION ALL SELECT 'view', v.schemaname, v.viewname, NULL FROM pg_catalog.pg_views v"
    " WHERE v.definition " CALLS_DBLINK " UNION ALL SELECT 'view', m.schemaname, m.matviewname, NULL"
    " FROM pg_catalog.pg_matviews m WHERE m.definition " CALLS_DBLINK " ORDER BY 1, 2, 3",
    NULL,
    0,
};
static const struct live_statement cron_statement = {
    "the extension pg_cron",
    "SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid"
    " JOIN pg_catalog.pg_class c ON c.oid = d.objid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE d.deptype = 'e' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refclassid ="
    " 'pg_catalog.pg_extension'::pg_catalog.regclass AND e.extname = 'pg_cron' AND n.nspname = 'cron'"
    " AND c.relname = 'job'",
    NULL,
    0,
};
static const struct live_statement jobs_statement = {
    "the jobs of pg_cron",
    "SELECT 'job', 'cron', jobid::pg_catalog.text, NULL FROM cron.job WHERE command " CALLS_DBLINK
    " ORDER BY jobid",
    "a grant on cron.job",
    0,
};

static enum code live_links_no_memory(struct live_audit *audit)
{
    return err_set(audit->e, E_NOMEM, "out of memory");
}

/* What libpq would refuse connects to nobody; it is said, for it may be what is not understood here. */
static enum code add_text(struct live_audit *audit, struct str text, struct subject_connection connection)
{
    struct subject_link link;
    struct str what, why;
    struct err e;

    enum code code = link_of_text(text, PASTED_LIBPQ, audit->arena, &link, &e);
    if (code == E_NOMEM)
        return live_links_no_memory(audit);
    if (code == OK)
        return link_add(audit->collected, audit->arena, connection, link) ? OK : live_links_no_memory(audit);
    if (!arena_printf(audit->arena, &what, "the connection of %.*s", STR_ARG(connection.where)) ||
        !arena_printf(audit->arena, &why, "%s", err_text(&e)))
        return live_links_no_memory(audit);
    const struct subject_unseen unseen = { what, why, ITEM_VERIFIED };
    return collect_unseen(&audit->collected->subject, audit->arena, unseen) ? OK
                                                                            : live_links_no_memory(audit);
}

/* What the string should be, as a statement; none where it cannot be read. */
static enum code put_fix(struct live_audit *audit, struct str text, struct str database,
                         struct subject_connection *connection)
{
    struct conn_options options = { .port_of_uri = false };
    struct err ignored;

    enum code code = conn_options_parse(text, audit->arena, &options, &ignored);
    if (code == E_PARAM)
        return OK;
    if (code == OK)
        code = connection->purpose == PURPOSE_STANDBY
                   ? remedy_standby(&options, audit->arena, &connection->fix)
                   : remedy_subscription(connection->name, database, &options, audit->arena,
                                         &connection->fix);
    return code == OK ? OK : live_links_no_memory(audit);
}

/* primary_conninfo is what the next start uses, the receiver's string what runs. */
static enum code see_primary(struct live_audit *audit)
{
    const struct subject_setting *raw = subject_raw(&audit->collected->subject, "primary_conninfo");
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &receiver_statement, &rows, &seen));
    bool running = seen && rows.n > 0 && live_cell(&rows, 0, 1).n > 0;
    struct str text = running ? live_cell(&rows, 0, 1) : raw ? raw->value : STR("");
    struct subject_connection connection = { .purpose = PURPOSE_STANDBY,
                                             .where = running ? STR("pg_stat_wal_receiver")
                                                              : STR("primary_conninfo") };
    if (text.n == 0)
        return OK;
    if (!running)
        connection.file = raw->file, connection.line = raw->line;
    TRY(put_fix(audit, text, STR(""), &connection));
    return add_text(audit, text, connection);
}

static enum code see_subscriptions(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &subscriptions_statement, &rows, &seen));
    for (size_t i = 0; seen && i < rows.n; i++) {
        struct str where;
        if (!arena_printf(audit->arena, &where, "subscription \"%.*s\" of database \"%.*s\"",
                          STR_ARG(live_cell(&rows, i, 0)), STR_ARG(live_cell(&rows, i, 1))))
            return live_links_no_memory(audit);
        if (live_cell(&rows, i, 2).n == 0 && live_version(audit->live) >= SUBSCRIPTION_SERVERS_SINCE)
            continue; /* it names a foreign server, which is looked at by itself */
        struct subject_connection connection = { .purpose = PURPOSE_SUBSCRIPTION,
                                                 .name = live_cell(&rows, i, 0),
                                                 .where = where };
        TRY(put_fix(audit, live_cell(&rows, i, 2), live_cell(&rows, i, 1), &connection));
        TRY(add_text(audit, live_cell(&rows, i, 2), connection));
    }
    return OK;
}

/* Kind, schema, name, and the line where there is one. */
static enum code add_calls(struct live_audit *audit, const struct live_rows *rows)
{
    for (size_t i = 0; i < rows->n; i++) {
        struct str where, line = STR("");
        struct str kind = live_cell(rows, i, 0);
        if (str_is(kind, "function") && !arena_printf(audit->arena, &line, "line %u of ",
                                                      live_number(rows, i, 3) ? live_number(rows, i, 3) : 1))
            return live_links_no_memory(audit);
        if (!arena_printf(audit->arena, &where, "%.*s%.*s \"%.*s\".\"%.*s\"", STR_ARG(line), STR_ARG(kind),
                          STR_ARG(live_cell(rows, i, 1)), STR_ARG(live_cell(rows, i, 2))) ||
            !link_add(audit->collected, audit->arena,
                      (struct subject_connection){ .purpose = PURPOSE_DBLINK, .where = where },
                      (struct subject_link){ .driver = PASTED_LIBPQ }))
            return live_links_no_memory(audit);
    }
    return OK;
}

static enum code see_dblink(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 }, jobs = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &dblink_statement, &rows, &seen));
    if (seen)
        TRY(add_calls(audit, &rows));
    rows.n = 0;
    TRY(live_audit_query(audit, &cron_statement, &rows, &seen));
    if (!seen || rows.n == 0)
        return OK;
    TRY(live_audit_query(audit, &jobs_statement, &jobs, &seen));
    return seen ? add_calls(audit, &jobs) : OK;
}

static enum code tell_other_databases(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 };
    struct str why;
    bool seen;

    TRY(live_audit_query(audit, &databases_statement, &rows, &seen));
    if (!seen || rows.n == 0)
        return OK;
    if (!arena_printf(audit->arena, &why,
                      "each database shows its own; name %zu more in --conninfo, such as \"%.*s\"", rows.n,
                      STR_ARG(live_cell(&rows, 0, 0))))
        return live_links_no_memory(audit);
    return live_audit_unseen(audit, "foreign servers and dblink calls of other databases", why,
                             ITEM_VERIFIED);
}

enum code live_links(struct live_audit *audit)
{
    TRY(see_primary(audit));
    TRY(see_subscriptions(audit));
    TRY(live_foreign(audit));
    TRY(see_dblink(audit));
    return tell_other_databases(audit);
}
