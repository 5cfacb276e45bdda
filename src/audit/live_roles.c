#include "audit/live_roles.h"

#include "audit/live_audit.h"
#include "base/arena.h"
#include "base/check.h"

#define ROLE                                                                                                 \
    "SELECT rolname, rolsuper, rolcanlogin, rolreplication, rolconnlimit, CASE WHEN rolvaliduntil ="         \
    " 'infinity' THEN 'infinity' ELSE floor(extract(epoch FROM rolvaliduntil))::pg_catalog.int8::text END, "

/* The secret itself stays where it is. [src: PostgreSQL 18, get_password_type()] */
static const struct live_statement secrets_statement = {
    "the kinds of passwords",
    ROLE "CASE WHEN rolpassword IS NULL THEN 'none' WHEN rolpassword ~ '^md5[0-9a-f]{32}$' THEN 'md5'"
         " WHEN rolpassword ~ '^SCRAM-SHA-256\\$[0-9]+:' THEN 'scram' ELSE 'other' END,"
         " substring(rolpassword FROM '^SCRAM-SHA-256\\$([0-9]{1,9}):') FROM pg_catalog.pg_authid ORDER BY 1",
    "a superuser",
    0,
};
static const struct live_statement roles_statement = {
    "the roles",
    ROLE "'unseen', NULL FROM pg_catalog.pg_roles ORDER BY 1",
    NULL,
    0,
};

static enum subject_secret secret_of(struct str kind)
{
    static const struct {
        const char *word;
        enum subject_secret secret;
    } map[] = { { "none", SECRET_NONE },
                { "scram", SECRET_SCRAM },
                { "md5", SECRET_MD5 },
                { "other", SECRET_UNRECOGNIZED } };

    for (size_t i = 0; i < COUNT_OF(map); i++)
        if (str_is(kind, map[i].word))
            return map[i].secret;
    return SECRET_UNSEEN;
}

static struct subject_role read_role(const struct live_rows *rows, size_t i)
{
    struct str until = live_cell(rows, i, 5);
    int64_t limit = -1;
    struct subject_role role = { .name = live_cell(rows, i, 0),
                                 .superuser = live_true(rows, i, 1),
                                 .can_login = live_true(rows, i, 2),
                                 .replication = live_true(rows, i, 3),
                                 .secret = secret_of(live_cell(rows, i, 6)),
                                 .iterations = live_number(rows, i, 7) };

    (void)str_to_i64(live_cell(rows, i, 4), INT32_MIN, INT32_MAX, &limit);
    role.connection_limit = (int)limit;
    if (str_is(until, "infinity"))
        role.valid_until_unix_s = INT64_MAX;
    role.has_valid_until = str_is(until, "infinity") ||
                           str_to_i64(until, INT64_MIN, INT64_MAX, &role.valid_until_unix_s);
    return role;
}

enum code live_roles(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &secrets_statement, &rows, &seen));
    if (!seen)
        TRY(live_audit_query(audit, &roles_statement, &rows, &seen));
    if (!seen)
        return OK;
    struct subject_role *roles = arena_array(audit->arena, rows.n, sizeof *roles);
    if (!roles)
        return err_set(audit->e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < rows.n; i++)
        roles[i] = read_role(&rows, i);
    audit->collected->subject.roles = roles;
    audit->collected->subject.n_roles = rows.n;
    return OK;
}

/* ---- sessions ---- */

static const struct live_statement may_see_statement = {
    "the role's rights",
    "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')",
    NULL,
    0,
};
static const struct live_statement sessions_statement = {
    "the sessions",
    "SELECT a.usename, a.application_name, host(a.client_addr), s.ssl OR coalesce(g.encrypted, false), s.version,"
    " coalesce(a.backend_type = 'walsender', false), a.datname, s.client_dn IS NOT NULL FROM pg_catalog.pg_stat_activity a"
    " JOIN pg_catalog.pg_stat_ssl s USING (pid) LEFT JOIN pg_catalog.pg_stat_gssapi g USING (pid)"
    " WHERE a.client_addr IS NOT NULL AND NOT a.client_addr <<= '127.0.0.0/8' AND a.client_addr <> '::1'"
    " AND a.client_addr IS DISTINCT FROM inet_server_addr() AND a.pid <> pg_backend_pid() ORDER BY 1, 3, 6, 2",
    "a member of pg_read_all_stats",
    0,
};

enum code live_sessions(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &may_see_statement, &rows, &seen));
    if (seen && !live_true(&rows, 0, 0))
        TRY(live_audit_unseen(audit, "the sessions of other roles",
                              STR("PostgreSQL shows them to members of pg_read_all_stats"), 0));
    rows.n = 0;
    TRY(live_audit_query(audit, &sessions_statement, &rows, &seen));
    struct live_session *sessions = arena_array(audit->arena, rows.n, sizeof *sessions);
    if (!sessions)
        return err_set(audit->e, E_NOMEM, "out of memory");
    for (size_t i = 0; seen && i < rows.n; i++)
        sessions[audit->seen->n_sessions++] = (struct live_session){ .user = live_cell(&rows, i, 0),
                                                                     .application = live_cell(&rows, i, 1),
                                                                     .address = live_cell(&rows, i, 2),
                                                                     .sealed = live_true(&rows, i, 3),
                                                                     .tls_version = live_cell(&rows, i, 4),
                                                                     .standby = live_true(&rows, i, 5),
                                                                     .database = live_cell(&rows, i, 6),
                                                                     .shows_certificate = live_true(&rows, i,
                                                                                                    7) };
    audit->seen->sessions = sessions;
    return OK;
}

/* ---- who runs it ---- */

static const struct {
    const char *role;
    enum live_provider provider;
    const char *name;
} providers[] = {
    { "rds_superuser", PROVIDER_RDS, "Amazon RDS" },
    { "cloudsqlsuperuser", PROVIDER_CLOUD_SQL, "Google Cloud SQL" },
    { "azure_pg_admin", PROVIDER_AZURE, "Azure Database for PostgreSQL" },
    { "neon_superuser", PROVIDER_OTHER, "Neon" },
    { "supabase_admin", PROVIDER_OTHER, "Supabase" },
    { "avnadmin", PROVIDER_OTHER, "Aiven" },
    { "doadmin", PROVIDER_OTHER, "DigitalOcean" },
};

static const struct live_statement provider_statement = {
    "the service that runs the server",
    "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('rds_superuser', 'cloudsqlsuperuser',"
    " 'azure_pg_admin', 'neon_superuser', 'supabase_admin', 'avnadmin', 'doadmin')",
    NULL,
    0,
};

/* What the parameter says; where there is none, what the port says, or only the service's own interface. */
static enum code see_requirement(struct live_audit *audit)
{
    struct subject_live *seen = audit->seen;
    const char *name = seen->provider == PROVIDER_RDS     ? "rds.force_ssl"
                       : seen->provider == PROVIDER_AZURE ? "require_secure_transport"
                                                          : NULL;
    const struct subject_setting *raw = name ? subject_raw(&audit->collected->subject, name) : NULL;
    struct str what, why;
    bool on;

    if (raw && str_to_bool(raw->value, &on)) {
        seen->requires_by = raw->name;
        seen->requires_tls = on ? LIVE_YES : LIVE_NO;
        return OK;
    }
    /* All of the service's rules are the same for everybody: one refusal tells. */
    if (seen->provider == PROVIDER_CLOUD_SQL && seen->port.plaintext == LIVE_NO && !seen->port.from_here) {
        seen->requires_by = STR("ipConfiguration.sslMode");
        seen->requires_tls = LIVE_YES;
        return OK;
    }
    if (!arena_printf(audit->arena, &what, "whether %.*s requires TLS", STR_ARG(seen->provider_name)) ||
        !arena_printf(audit->arena, &why, name ? "the server does not show %s" : "%s",
                      name ? name
                      : seen->provider == PROVIDER_CLOUD_SQL
                          ? "that is ipConfiguration.sslMode, which only the service's interface shows"
                          : "that is set outside PostgreSQL, where only the service's interface shows it"))
        return err_set(audit->e, E_NOMEM, "out of memory");
    const struct subject_unseen unseen = { what, why, ITEM_RULES };
    if (!collect_unseen(&audit->collected->subject, audit->arena, unseen))
        return err_set(audit->e, E_NOMEM, "out of memory");
    return OK;
}

enum code live_service(struct live_audit *audit)
{
    struct live_rows rows = { .n = 0 };
    bool seen;

    TRY(live_audit_query(audit, &provider_statement, &rows, &seen));
    for (size_t p = 0; p < COUNT_OF(providers) && audit->seen->provider == PROVIDER_NONE; p++)
        for (size_t i = 0; i < rows.n; i++)
            if (str_is(live_cell(&rows, i, 0), providers[p].role)) {
                audit->seen->provider = providers[p].provider;
                audit->seen->provider_name = str_c(providers[p].name);
            }
    return audit->seen->provider == PROVIDER_NONE ? OK : see_requirement(audit);
}
