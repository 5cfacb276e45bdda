#include "audit/live_foreign.h"

#include "audit/link.h"
#include "audit/live_audit.h"
#include "audit/remedy.h"
#include "base/arena.h"
#include "client/conninfo_text.h"

/* ---- what is asked: one row per option, those of a server or mapping after each other ---- */

#define OF_POSTGRES "w.fdwname IN ('postgres_fdw', 'dblink_fdw')"
#define IS_SECRET "o.option_name ~ 'passw|secret|key$' AND o.option_name <> 'password_required'"

static const struct live_statement servers_statement = {
    "the foreign servers",
    "SELECT s.srvname, o.option_name, o.option_value FROM pg_catalog.pg_foreign_server s"
    " JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw"
    " LEFT JOIN LATERAL pg_catalog.pg_options_to_table(s.srvoptions) o ON NOT (" IS_SECRET ")"
    " WHERE " OF_POSTGRES " ORDER BY 1",
    NULL,
    ITEM_VERIFIED,
};
static const struct live_statement mappings_statement = {
    "the user mappings",
    "SELECT m.srvname, m.usename, o.option_name, o.option_value,"
    " m.umoptions IS NULL AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)"
    " FROM pg_catalog.pg_user_mappings m JOIN pg_catalog.pg_foreign_server s ON s.oid = m.srvid"
    " JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw"
    " LEFT JOIN LATERAL pg_catalog.pg_options_to_table(m.umoptions) o ON NOT (" IS_SECRET ")"
    " WHERE " OF_POSTGRES " ORDER BY 1, 2",
    NULL,
    ITEM_VERIFIED,
};

struct server {
    struct str name;
    struct conn_options options;
};

static enum code no_memory(struct live_audit *audit)
{
    return err_set(audit->e, E_NOMEM, "out of memory");
}

static void put_option(struct conn_options *options, struct str name, struct str value)
{
    enum conn_option option;

    if (conn_option_find(name, &option))
        options->v[option] = value;
}

static bool add(struct live_audit *audit, const struct conn_options *options,
                struct subject_connection connection)
{
    struct subject_link link;

    return link_of_options(options, audit->arena, &link) == OK &&
           link_add(audit->collected, audit->arena, connection, link);
}

/* ---- servers ---- */

static enum code see_servers(struct live_audit *audit, struct server **out, size_t *out_n)
{
    struct live_rows rows = { .n = 0 };
    size_t n = 0;
    bool seen;

    TRY(live_audit_query(audit, &servers_statement, &rows, &seen));
    struct server *servers = arena_array(audit->arena, rows.n, sizeof *servers);
    if (!servers)
        return no_memory(audit);
    for (size_t i = 0; seen && i < rows.n;) {
        struct server *s = &servers[n++];
        *s = (struct server){ .name = live_cell(&rows, i, 0) };
        struct subject_connection connection = { .purpose = PURPOSE_FOREIGN, .name = s->name };
        for (; i < rows.n && str_equal(live_cell(&rows, i, 0), s->name); i++)
            put_option(&s->options, live_cell(&rows, i, 1), live_cell(&rows, i, 2));
        if (!arena_printf(audit->arena, &connection.where, "foreign server \"%.*s\"", STR_ARG(s->name)) ||
            remedy_server(s->name, &s->options, audit->arena, &connection.fix) != OK ||
            !add(audit, &s->options, connection))
            return no_memory(audit);
    }
    *out = servers;
    *out_n = n;
    return OK;
}

/* ---- mappings ---- */

/* The options of a mapping win. Those of users and their certificates change nothing about whom they talk to. */
static bool merge(const struct conn_options *mapping, const struct server *servers, size_t n, struct str name,
                  struct conn_options *out)
{
    bool differs = false;

    *out = (struct conn_options){ .port_of_uri = false };
    for (size_t i = 0; i < n; i++)
        if (str_equal(servers[i].name, name))
            *out = servers[i].options;
    for (enum conn_option i = 0; i < CONN_OPTION_COUNT; i++) {
        if (!mapping->v[i].p)
            continue;
        differs = differs || (i != CONN_USER && i != CONN_SSLCERT && i != CONN_SSLKEY);
        out->v[i] = mapping->v[i];
    }
    return differs;
}

static enum code add_mapping(struct live_audit *audit, const struct live_mapping *m,
                             const struct conn_options *given, const struct conn_options *merged)
{
    struct subject_connection connection = { .purpose = PURPOSE_FOREIGN, .name = m->server };

    return arena_printf(audit->arena, &connection.where,
                        "user mapping of \"%.*s\" for foreign server \"%.*s\"", STR_ARG(m->user),
                        STR_ARG(m->server)) &&
                   remedy_mapping(m->user, m->server, given, audit->arena, &connection.fix) == OK &&
                   add(audit, merged, connection)
               ? OK
               : no_memory(audit);
}

static enum code see_mappings(struct live_audit *audit, const struct server *servers, size_t n_servers)
{
    struct live_rows rows = { .n = 0 };
    bool seen, hidden = false;

    TRY(live_audit_query(audit, &mappings_statement, &rows, &seen));
    struct live_mapping *mappings = arena_array(audit->arena, rows.n, sizeof *mappings);
    if (!mappings)
        return no_memory(audit);
    for (size_t i = 0; seen && i < rows.n;) {
        struct live_mapping *m = &mappings[audit->seen->n_mappings++];
        struct conn_options given = { .port_of_uri = false }, merged;
        *m = (struct live_mapping){ .server = live_cell(&rows, i, 0), .user = live_cell(&rows, i, 1) };
        for (; i < rows.n && str_equal(live_cell(&rows, i, 0), m->server) &&
               str_equal(live_cell(&rows, i, 1), m->user);
             i++) {
            struct str name = live_cell(&rows, i, 2), value = live_cell(&rows, i, 3);
            bool on = true;
            put_option(&given, name, value);
            if (str_is(name, "password_required"))
                m->without_password = str_to_bool(value, &on) && !on;
            hidden = hidden || live_true(&rows, i, 4);
        }
        if (merge(&given, servers, n_servers, m->server, &merged))
            TRY(add_mapping(audit, m, &given, &merged));
    }
    audit->seen->mappings = mappings;
    return hidden ? live_audit_unseen(
                        audit, "the options of user mappings",
                        STR("PostgreSQL shows them to the user itself, the server's owner and superusers"), 0)
                  : OK;
}

enum code live_foreign(struct live_audit *audit)
{
    struct server *servers = NULL;
    size_t n = 0;

    TRY(see_servers(audit, &servers, &n));
    return see_mappings(audit, servers, n);
}
