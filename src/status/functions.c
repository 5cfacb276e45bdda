/* Functions about the asking session: who, how, and what it may set in motion. */
#include "status/functions.h"

#include "base/buf.h"
#include "base/check.h"
#include "pgtypes/type.h"
#include "pgwire/backend.h"
#include "sql/db_value.h"
#include "status/catalog.h"
#include "status/schema.h"
#include "status/setting.h"
#include "status/vars.h"

#define ARGS sqlite3_context *cx, int n, sqlite3_value **args
#define UNUSED (void)n, (void)args

enum { SETTING_MAX = 4096 };

static const struct console_params *self(sqlite3_context *cx)
{
    return status_context_of(db_context_of(cx))->self;
}

static void f_backend_pid(ARGS)
{
    UNUSED;
    sqlite3_result_int(cx, self(cx)->pid);
}

static void f_user(ARGS)
{
    UNUSED;
    db_return_text(cx, self(cx)->user);
}

static void f_system_user(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->system_user);
}

static void f_database(ARGS)
{
    UNUSED;
    db_return_text(cx, self(cx)->database);
}

static void f_schema(ARGS)
{
    UNUSED;
    db_return_text(cx, STR("public"));
}

static void f_schemas(ARGS)
{
    UNUSED;
    db_return_text(cx, sqlite3_value_int(args[0]) ? STR("{pg_catalog,public}") : STR("{public}"));
}

static void f_client_addr(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->client_addr);
}

static void f_server_addr(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->server_addr);
}

static void f_client_port(ARGS)
{
    UNUSED;
    if (self(cx)->client_addr.n > 0)
        sqlite3_result_int(cx, self(cx)->client_port);
}

static void f_server_port(ARGS)
{
    UNUSED;
    if (self(cx)->server_addr.n > 0)
        sqlite3_result_int(cx, self(cx)->server_port);
}

static void f_version(ARGS)
{
    UNUSED;
    db_return_text(cx, STR("PostgreSQL " CONSOLE_SERVER_VERSION ", the status database of a TLS gate"));
}

static void f_true(ARGS)
{
    UNUSED;
    sqlite3_result_int(cx, 1);
}

static void f_false(ARGS)
{
    UNUSED;
    sqlite3_result_int(cx, 0);
}

static void f_null(ARGS)
{
    UNUSED;
    sqlite3_result_null(cx);
}

static void f_encoding(ARGS)
{
    UNUSED;
    db_return_text(cx, STR("UTF8"));
}

static void f_owner(ARGS)
{
    UNUSED;
    db_return_text(cx, STR("pgseal"));
}

/* current_setting(name [, missing_ok]) */
static void f_setting(ARGS)
{
    AUTO(buf) struct buf text = BUF_INIT(SETTING_MAX);
    struct err why = { 0 };
    enum code code;

    if (db_any_null(n, args))
        return;
    code = setting_show(status_context_of(db_context_of(cx)), db_text_arg(args[0]), &text, NULL, &why);
    if (code == E_UNDEFINED && n > 1 && sqlite3_value_int(args[1]))
        return;
    if (code == OK) {
        db_return_buf(cx, &text);
        return;
    }
    db_fail(cx, &why);
}

static void f_conf_load_time(ARGS)
{
    UNUSED;
    sqlite3_result_int64(cx, self(cx)->loaded_us);
}

static void f_start_time(ARGS)
{
    UNUSED;
    sqlite3_result_int64(cx, self(cx)->started_us);
}

/* ---- sslinfo ---- */

static void f_ssl_is_used(ARGS)
{
    UNUSED;
    sqlite3_result_int(cx, self(cx)->tls.used);
}

static void f_ssl_version(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->tls.version);
}

static void f_ssl_cipher(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->tls.cipher);
}

static void f_ssl_cert_present(ARGS)
{
    UNUSED;
    sqlite3_result_int(cx, self(cx)->tls.cert_present);
}

static void f_ssl_serial(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->tls.client_serial);
}

static void f_ssl_client_dn(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->tls.client_dn);
}

static void f_ssl_issuer_dn(ARGS)
{
    UNUSED;
    db_return_fact(cx, self(cx)->tls.issuer_dn);
}

/* The first value of an attribute. A name that no certificate can have is an error, checked by whoever knows
 * OpenSSL's names: here only those of the certificate are known. */
static void dn_field(sqlite3_context *cx, sqlite3_value *name, const struct dn_field *fields, size_t count)
{
    struct str wanted = db_text_arg(name);

    for (size_t i = 0; i < count; i++) {
        if (str_equal(fields[i].name, wanted)) {
            db_return_text(cx, fields[i].value);
            return;
        }
    }
    if (self(cx)->tls.cert_present && self(cx)->tls.field_known != NULL && !self(cx)->tls.field_known(wanted))
        db_refuse(cx, E_PARAM, "invalid X.509 field name: \"%.*s\"", STR_ARG(wanted));
}

static void f_ssl_client_field(ARGS)
{
    if (!db_any_null(n, args))
        dn_field(cx, args[0], self(cx)->tls.subject_fields, self(cx)->tls.subject_field_count);
}

static void f_ssl_issuer_field(ARGS)
{
    if (!db_any_null(n, args))
        dn_field(cx, args[0], self(cx)->tls.issuer_fields, self(cx)->tls.issuer_field_count);
}

/* ---- actions ---- */

static void notice(sqlite3_context *cx, enum severity severity, const struct err *e)
{
    if (db_context_of(cx)->notices != NULL)
        backend_report(db_context_of(cx)->notices, severity, e, 0);
}

static void order(sqlite3_context *cx, bool (*act)(void *ctx, struct err *note))
{
    struct err note = { .code = OK };
    bool done = act(self(cx)->actions.ctx, &note);

    if (note.message[0] != '\0')
        notice(cx, done ? SEV_NOTICE : SEV_WARNING, &note);
    sqlite3_result_int(cx, done);
}

static void f_reload(ARGS)
{
    UNUSED;
    if (self(cx)->actions.reload != NULL)
        order(cx, self(cx)->actions.reload);
    else
        db_refuse(cx, E_UNSUPPORTED, "this server cannot be reloaded");
}

static void f_recheck(ARGS)
{
    UNUSED;
    if (self(cx)->actions.recheck != NULL)
        order(cx, self(cx)->actions.recheck);
    else
        db_refuse(cx, E_UNSUPPORTED, "this server has no hosts to ask");
}

static void signal_denied(sqlite3_context *cx, enum signal_kind kind)
{
    const char *verb = kind == SIGNAL_TERMINATE ? "terminate process" : "cancel query";
    struct err why;

    (void)err_set(&why, E_ACCESS, "permission denied to %s", verb);
    err_detail(&why, "Only the session's own user and the users in admin_users may do this.");
    db_fail(cx, &why);
}

static void signal_session(sqlite3_context *cx, enum signal_kind kind, sqlite3_value *pid)
{
    const struct console_params *me = self(cx);
    struct err why;

    if (sqlite3_value_type(pid) == SQLITE_NULL)
        return;
    if (me->actions.signal == NULL) {
        db_refuse(cx, E_UNSUPPORTED, "sessions cannot be signaled here");
        return;
    }
    const struct signal_request request = { kind, sqlite3_value_int(pid), me->user, me->is_admin };
    switch (me->actions.signal(me->actions.ctx, &request, &why)) {
    case SIGNAL_SENT:
        sqlite3_result_int(cx, 1);
        return;
    case SIGNAL_DENIED:
        signal_denied(cx, kind);
        return;
    case SIGNAL_AMBIGUOUS:
        db_fail(cx, &why);
        return;
    case SIGNAL_NO_SESSION:
        (void)err_set(&why, E_WARNING, "PID %d is not a PostgreSQL backend process", sqlite3_value_int(pid));
        notice(cx, SEV_WARNING, &why);
        sqlite3_result_int(cx, 0);
        return;
    }
    UNREACHABLE();
}

static void f_terminate(ARGS)
{
    (void)n;
    signal_session(cx, SIGNAL_TERMINATE, args[0]);
}

static void f_cancel(ARGS)
{
    (void)n;
    signal_session(cx, SIGNAL_CANCEL, args[0]);
}

/* ---- the catalog ---- */

static void f_format_type(ARGS)
{
    enum pg_type type;

    (void)n;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    if (pg_type_of_oid((uint32_t)sqlite3_value_int64(args[0]), &type))
        db_return_text(cx, str_c(pg_type_def(type)->label));
    else
        db_return_text(cx, sqlite3_value_int64(args[0]) == 0 ? STR("-") : STR("???"));
}

static void f_visible(ARGS)
{
    if (!db_any_null(n, args))
        sqlite3_result_int(cx, catalog_is_visible((uint32_t)sqlite3_value_int64(args[0])));
}

/* obj_description(oid, 'pg_class'), col_description(oid, column) */
static void f_description(ARGS)
{
    const char *help;
    int64_t column;

    if (db_any_null(n, args))
        return;
    column = sqlite3_value_type(args[1]) == SQLITE_INTEGER ? sqlite3_value_int64(args[1]) : 0;
    help = catalog_help((uint32_t)sqlite3_value_int64(args[0]), column);
    if (help != NULL)
        db_return_text(cx, str_c(help));
}

const struct db_function status_functions[] = {
    { "pgseal_backend_pid", 0, f_backend_pid, NULL, NULL },
    { "pgseal_user", 0, f_user, NULL, NULL },
    { "pgseal_system_user", 0, f_system_user, NULL, NULL },
    { "pgseal_database", 0, f_database, NULL, NULL },
    { "pgseal_schema", 0, f_schema, NULL, NULL },
    { "pgseal_schemas", 1, f_schemas, NULL, NULL },
    { "pgseal_client_addr", 0, f_client_addr, NULL, NULL },
    { "pgseal_client_port", 0, f_client_port, NULL, NULL },
    { "pgseal_server_addr", 0, f_server_addr, NULL, NULL },
    { "pgseal_server_port", 0, f_server_port, NULL, NULL },
    { "pgseal_version", 0, f_version, NULL, NULL },
    { "pgseal_true", -1, f_true, NULL, NULL },
    { "pgseal_false", -1, f_false, NULL, NULL },
    { "pgseal_null", -1, f_null, NULL, NULL },
    { "pgseal_encoding", -1, f_encoding, NULL, NULL },
    { "pgseal_owner", 1, f_owner, NULL, NULL },
    { "pgseal_setting", -1, f_setting, NULL, NULL },
    { "pgseal_conf_load_time", 0, f_conf_load_time, NULL, NULL },
    { "pgseal_start_time", 0, f_start_time, NULL, NULL },
    { "pgseal_ssl_is_used", 0, f_ssl_is_used, NULL, NULL },
    { "pgseal_ssl_version", 0, f_ssl_version, NULL, NULL },
    { "pgseal_ssl_cipher", 0, f_ssl_cipher, NULL, NULL },
    { "pgseal_ssl_cert_present", 0, f_ssl_cert_present, NULL, NULL },
    { "pgseal_ssl_serial", 0, f_ssl_serial, NULL, NULL },
    { "pgseal_ssl_client_dn", 0, f_ssl_client_dn, NULL, NULL },
    { "pgseal_ssl_issuer_dn", 0, f_ssl_issuer_dn, NULL, NULL },
    { "pgseal_ssl_client_field", 1, f_ssl_client_field, NULL, NULL },
    { "pgseal_ssl_issuer_field", 1, f_ssl_issuer_field, NULL, NULL },
    { "pgseal_recheck", 0, f_recheck, NULL, NULL },
    { "pgseal_reload", 0, f_reload, NULL, NULL },
    { "pgseal_terminate", -1, f_terminate, NULL, NULL },
    { "pgseal_cancel", -1, f_cancel, NULL, NULL },
    { "pgseal_format_type", 2, f_format_type, NULL, NULL },
    { "pgseal_visible", 1, f_visible, NULL, NULL },
    { "pgseal_description", 2, f_description, NULL, NULL },
    { NULL, 0, NULL, NULL, NULL },
};
