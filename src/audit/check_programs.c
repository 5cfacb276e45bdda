#include "audit/check_programs.h"

/* What a program works with; its default where nothing is written. */
static struct str check_programs_value_of(const struct audit *a, const char *name, const char *otherwise)
{
    const struct subject_setting *raw = subject_raw(a->subject, name);

    return raw ? raw->value : str_c(otherwise);
}

/* An address list that no other machine can reach. */
static bool is_here(struct str list)
{
    struct str address;

    while (str_split(&list, ',', &address)) {
        address = str_trim(address);
        if (address.n > 0 && !str_starts(address, STR("localhost")) && !str_starts(address, STR("127.")) &&
            !str_starts(address, STR("::1")) && !str_starts(address, STR("[::1]")))
            return false;
    }
    return true;
}

/* ---- PgBouncer ---- */

static void check_pgbouncer(struct audit *a)
{
    struct str mode = check_programs_value_of(a, "pgbouncer.client_tls_sslmode", "disable");
    struct str auth = check_programs_value_of(a, "pgbouncer.auth_type", "md5");

    if (is_here(check_programs_value_of(a, "pgbouncer.listen_addr", "")))
        return;
    if (str_is(mode, "disable") || str_is(mode, "allow") || str_is(mode, "prefer"))
        audit_add_setting(a, CHECK_POOLER_PLAINTEXT, "pgbouncer.client_tls_sslmode",
                          "client_tls_sslmode is %.*s: clients %s without TLS", STR_ARG(mode),
                          str_is(mode, "disable") ? "connect" : "may connect");
    if (str_is(auth, "trust") || str_is(auth, "any"))
        audit_add_setting(a, CHECK_POOLER_AUTH, "pgbouncer.auth_type",
                          "auth_type is %.*s: clients are not authenticated", STR_ARG(auth));
    if (str_is(auth, "plain"))
        audit_add_setting(a, CHECK_POOLER_AUTH, "pgbouncer.auth_type",
                          "auth_type is plain: clients send the password itself");
}

/* ---- Patroni ---- */

static bool has_prefix(const struct audit *a, const char *prefix)
{
    for (size_t i = 0; i < a->subject->n_raw; i++)
        if (str_starts(a->subject->raw[i].name, str_c(prefix)))
            return true;
    return false;
}

static bool is_on(struct str value)
{
    bool on = false;

    return str_to_bool(value, &on) && on;
}

static void check_api(struct audit *a)
{
    struct str verify = check_programs_value_of(a, "patroni.restapi.verify_client", "none");
    bool sealed = check_programs_value_of(a, "patroni.restapi.certfile", "").n > 0;
    bool asked = check_programs_value_of(a, "patroni.restapi.authentication.username", "").n > 0 ||
                 (sealed && (str_is(verify, "required") || str_is(verify, "optional")));

    if (is_here(check_programs_value_of(a, "patroni.restapi.listen", "*")))
        return;
    if (!sealed)
        audit_add_setting(a, CHECK_PATRONI_API_PLAINTEXT, "patroni.restapi.certfile",
                          "restapi has no certfile: it is used without TLS%s",
                          asked ? ", and its password is sent in cleartext" : "");
    if (!asked && !has_prefix(a, "patroni.restapi.allowlist"))
        audit_add_setting(
            a, CHECK_PATRONI_API_OPEN, "patroni.restapi.verify_client",
            "restapi asks for no certificate (verify_client: %.*s) and no password, and has no allowlist",
            STR_ARG(verify));
}

static void check_store(struct audit *a, const char *store)
{
    struct str prefix = audit_text(a, "patroni.%s.", store),
               name = audit_text(a, "patroni.%s.protocol", store);
    struct str ca = audit_text(a, "patroni.%s.cacert", store);

    if (a->nomem || !has_prefix(a, prefix.p))
        return;
    if (!str_is(check_programs_value_of(a, name.p, "http"), "https"))
        audit_add_setting(a, CHECK_PATRONI_STORE, name.p, "%s is used over %.*s", store,
                          STR_ARG(check_programs_value_of(a, name.p, "http")));
    else if (check_programs_value_of(a, ca.p, "").n == 0)
        audit_add_setting(a, CHECK_PATRONI_STORE, ca.p, "%s is not verified: there is no cacert", store);
}

/* [src: PostgreSQL 18, "The Password File"] */
static void check_passfile(struct audit *a)
{
    const struct subject_setting *mode = subject_raw(a->subject, "file.mode");

    if (mode)
        audit_add_setting(a, CHECK_PASSFILE_PERMISSIONS, "passfile.file", "its mode is %.*s",
                          STR_ARG(mode->value));
}

void check_programs(struct audit *a)
{
    if (a->subject->kind != SUBJECT_CLIENT)
        return;
    if (has_prefix(a, "passfile."))
        check_passfile(a);
    if (has_prefix(a, "pgbouncer."))
        check_pgbouncer(a);
    if (!has_prefix(a, "patroni."))
        return;
    if (has_prefix(a, "patroni.restapi."))
        check_api(a);
    check_store(a, "etcd");
    check_store(a, "etcd3");
    if (is_on(check_programs_value_of(a, "patroni.ctl.insecure", "off")))
        audit_add_setting(a, CHECK_PATRONI_CTL, "patroni.ctl.insecure", "patronictl verifies no certificate");
}
