/* See fixture.h. */
#include "fixture.h"

#include "base/check.h"

enum { T0_S = 1795228200 }; /* 2026-11-21 02:30:00 UTC */

static const struct str db_all[] = { { "all", 3 } };
static const struct str db_other[] = { { "/^a{1,2}$", 9 }, { "", 0 }, { "sales", 5 } };
static const struct str options[] = { { "map=x", 5 }, { "clientcert=verify-full", 22 } };

struct fixed_session {
    int pid;
    const char *user;
    const char *database;
    const char *app;
    const char *addr;
    int port;
    const char *version; /* NULL: no TLS */
    const char *dn;
    const char *serial;
};

static const struct fixed_session sessions[] = {
    { 4711, "alice", "sales", "psql", "192.0.2.7", 40312, "TLSv1.3", NULL, NULL },
    { 4712, "bob", "sales", "app's \"one\"", "2001:db8::7", 40313, "TLSv1.2", "/O=Acme\\, Inc/CN=bob",
      "1208925819614629174706189" },
    { 4713, "carol", "hr", "", NULL, -1, NULL, NULL, NULL },
};

static size_t session_count(const struct fixture *f)
{
    return f->sessions > 0 ? f->sessions : COUNT_OF(sessions);
}

static struct fixed_session session_at(const struct fixture *f, size_t i)
{
    static const char *const users[] = { "u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8", "u9" };
    struct fixed_session s = { (int)i + 1, users[i % 10], "sales",
                               "bench",    "10.0.0.1",    (int)(i % 60000) + 1024,
                               "TLSv1.3",  NULL,          NULL };

    return f->sessions > 0 ? s : sessions[i];
}

static void fill_ssl(const struct fixed_session *s, struct row_pg_stat_ssl *row)
{
    row->pid = cell_int(s->pid);
    row->ssl = cell_bool(s->version != NULL);
    row->version = cell_c(s->version);
    if (s->version != NULL) {
        row->cipher = cell_c("TLS_AES_256_GCM_SHA384");
        row->bits = cell_int(256);
    }
    row->client_dn = cell_c(s->dn);
    row->client_serial = cell_c(s->serial);
    row->issuer_dn = cell_c(s->dn != NULL ? "/CN=Root" : NULL);
}

static void fill_activity(const struct fixed_session *s, struct row_pg_stat_activity *row)
{
    row->datname = cell_c(s->database);
    row->pid = cell_int(s->pid);
    row->usename = cell_c(s->user);
    row->application_name = cell_c(s->app);
    row->client_hostname = s->dn != NULL ? cell_text(STR("\xff\xc3\xa4\xc3"))
                                         : (struct cell){ .kind = CELL_NULL };
    row->client_addr = cell_c(s->addr);
    row->client_port = cell_int(s->port);
    row->backend_start = cell_int((int64_t)T0_S * 1000000 + s->pid);
    row->state = cell_c("idle");
    row->query = cell_c("");
    row->backend_type = cell_c("client backend");
}

static void fill_session(const struct fixed_session *s, struct row_pgseal_sessions *row)
{
    row->pid = cell_int(s->pid);
    row->worker = cell_int(s->pid % 2);
    row->user_name = cell_c(s->user);
    row->database = cell_c(s->database);
    row->client_addr = cell_c(s->addr);
    row->negotiation = cell_c(s->version != NULL ? "sslrequest" : "none");
    row->system_user = s->dn != NULL ? cell_c("cert:CN=bob,O=Acme") : (struct cell){ .kind = CELL_NULL };
    row->bytes_in = cell_int((int64_t)s->pid * 1000000000);
}

static void fill_rule(size_t i, struct row_pg_hba_file_rules *row)
{
    row->rule_number = cell_int((int64_t)i + 1);
    row->file_name = cell_c("/etc/pgseal/pg_hba.conf");
    row->line_number = cell_int((int64_t)i + 10);
    row->type = cell_c("hostssl");
    row->database = i == 0 ? cell_texts(db_all, 1) : cell_texts(db_other, 3);
    row->user_name = cell_texts(db_all, 1);
    row->address = cell_c("10.0.0.0");
    row->netmask = cell_c("255.0.0.0");
    row->auth_method = cell_c("cert");
    if (i > 0)
        row->options = cell_texts(options, 2);
}

static void fill_setting(size_t i, struct row_pg_settings *row, struct row_rights *rights)
{
    static const struct {
        const char *name, *setting, *unit, *type;
        bool restricted;
    } settings[] = {
        { "authentication_timeout", "60", "s", "integer", false },
        { "ssl", "on", NULL, "bool", false },
        { "ssl_ciphers", "HIGH:MEDIUM:+3DES:!aNULL", NULL, "string", true },
        { "ssl_groups", "X25519:prime256v1", NULL, "string", false },
        { "ssl_min_protocol_version", "TLSv1.2", NULL, "enum", false },
    };

    row->name = cell_c(settings[i].name);
    row->setting = cell_c(settings[i].setting);
    row->unit = cell_c(settings[i].unit);
    row->vartype = cell_c(settings[i].type);
    row->sourcefile = cell_c("/etc/pgseal/pgseal.conf");
    row->sourceline = cell_int(7);
    rights->restricted = settings[i].restricted;
}

static void fill_certificate(struct row_pgseal_certificates *row)
{
    row->kind = cell_c("server");
    row->file = cell_c("/etc/pgseal/tls/server.crt");
    row->serial = cell_c("340282366920938463463374607431768211455");
    row->sans = cell_texts(db_other, 1);
    row->not_before = cell_int(INT64_C(1795000000000000));
    row->not_after = cell_int(INT64_C(1802776000000000));
    row->days_left = cell_int(87);
    row->life_left = cell_c("0.971");
    row->served = cell_bool(true);
    row->status = cell_c("ok");
}

static enum code count_rows(void *ctx, enum view view, size_t *out, struct err *e)
{
    const struct fixture *f = ctx;

    *out = 0;
    if (view == VIEW_PG_STAT_SSL || view == VIEW_PG_STAT_ACTIVITY || view == VIEW_PGSEAL_SESSIONS)
        *out = session_count(f);
    else if (view == VIEW_PG_HBA_FILE_RULES)
        *out = 2;
    else if (view == VIEW_PG_SETTINGS)
        *out = 5;
    else if (view == VIEW_PGSEAL_CERTIFICATES)
        *out = 1;
    else if (view == VIEW_PG_IDENT_FILE_MAPPINGS)
        return err_set(e, E_NO_FILE,
                       "could not open file \"/etc/pgseal/pg_ident.conf\": No such file or directory");
    return OK;
}

static void fill_row(void *ctx, enum view view, size_t index, union view_row *out, struct row_rights *rights)
{
    struct fixed_session s;

    if (view == VIEW_PG_HBA_FILE_RULES) {
        fill_rule(index, &out->pg_hba_file_rules);
    } else if (view == VIEW_PG_SETTINGS) {
        fill_setting(index, &out->pg_settings, rights);
    } else if (view == VIEW_PGSEAL_CERTIFICATES) {
        fill_certificate(&out->pgseal_certificates);
    } else {
        s = session_at(ctx, index);
        rights->owner = str_c(s.user);
        if (view == VIEW_PG_STAT_SSL)
            fill_ssl(&s, &out->pg_stat_ssl);
        else if (view == VIEW_PG_STAT_ACTIVITY)
            fill_activity(&s, &out->pg_stat_activity);
        else
            fill_session(&s, &out->pgseal_sessions);
    }
}

static void release(void *ctx)
{
    ((struct fixture *)ctx)->released++;
}

struct row_source fixture_rows(struct fixture *f)
{
    return (struct row_source){ f, count_rows, fill_row, release };
}

static bool reload(void *ctx, struct err *note)
{
    struct fixture *f = ctx;

    f->reloads++;
    (void)err_set(note, OK, "configuration reloaded, generation %u", f->reloads + 1);
    return true;
}

static bool recheck(void *ctx, struct err *note)
{
    struct fixture *f = ctx;

    f->rechecks++;
    (void)err_set(note, E_CONFIG, "no host is asked");
    return false;
}

static enum signal_result signal_session(void *ctx, const struct signal_request *request, struct err *e)
{
    struct fixture *f = ctx;

    if (request->pid == FIXTURE_SHARED_PID) {
        (void)err_set(e, E_BAD_STATE, "more than one session has PID %d", request->pid);
        err_detail(e, "one, and another");
        return SIGNAL_AMBIGUOUS;
    }
    for (size_t i = 0; i < session_count(f); i++) {
        struct fixed_session s = session_at(f, i);
        if (s.pid != request->pid)
            continue;
        if (!request->is_admin && !str_is(request->user, s.user))
            return SIGNAL_DENIED;
        f->signaled = request->pid;
        return SIGNAL_SENT;
    }
    return SIGNAL_NO_SESSION;
}

struct console_actions fixture_actions(struct fixture *f)
{
    return (struct console_actions){ f, reload, recheck, signal_session };
}

static const struct dn_field fields[] = {
    { { "CN", 2 }, { "alice", 5 } },
    { { "commonName", 10 }, { "alice", 5 } },
    { { "O", 1 }, { "Acme\\, Inc", 10 } },
};

static bool field_known(struct str name)
{
    return str_is(name, "CN") || str_is(name, "O") || str_is(name, "OU");
}

struct console_params fixture_params(struct fixture *f, const struct env *env, const char *user,
                                     bool is_admin)
{
    return (struct console_params){
        .env = env,
        .user = str_c(user),
        .database = STR("pgseal"),
        .system_user = STR("scram-sha-256:alice"),
        .client_addr = STR("192.0.2.7"),
        .server_addr = STR("192.0.2.1"),
        .client_port = 40312,
        .server_port = 5432,
        .pid = 4711,
        .is_admin = is_admin,
        .started_us = (int64_t)T0_S * 1000000,
        .loaded_us = (int64_t)T0_S * 1000000 + 1500000,
        .tls = { .used = true,
                 .cert_present = true,
                 .version = STR("TLSv1.3"),
                 .cipher = STR("TLS_AES_256_GCM_SHA384"),
                 .client_dn = STR("/O=Acme\\, Inc/CN=alice"),
                 .issuer_dn = STR("/CN=Root"),
                 .client_serial = STR("42"),
                 .subject_fields = fields,
                 .subject_field_count = COUNT_OF(fields),
                 .issuer_fields = fields,
                 .issuer_field_count = 1,
                 .field_known = field_known },
        .actions = fixture_actions(f),
    };
}
