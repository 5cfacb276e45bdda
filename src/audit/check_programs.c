#include "audit/check_programs.h"

#include "base/check.h"

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

/* Where the leader's key is kept. */
static const struct store {
    const char *name;
    const char *sealed;       /* the setting that says that it is spoken to over TLS */
    const char *sealed_value; /* ... by this value; NULL: a boolean */
    const char *ca;           /* verification depends on this file; NULL: it is on */
    const char *verify;       /* ... and is turned off by this; NULL: by nothing */
} stores[] = {
    { "etcd", "protocol", "https", "cacert", NULL },
    { "etcd3", "protocol", "https", "cacert", NULL },
    { "consul", "scheme", "https", NULL, "verify" },
    { "zookeeper", "use_ssl", NULL, NULL, "verify" },
};

static const char *store_setting(struct audit *a, const struct store *store, const char *setting)
{
    struct str name = audit_text(a, "patroni.%s.%s", store->name, setting);

    return a->nomem ? "" : name.p;
}

/* etcd.url and consul.url have the scheme in them. */
static bool is_sealed(struct audit *a, const struct store *store)
{
    struct str url = check_programs_value_of(a, store_setting(a, store, "url"), "");
    struct str value = check_programs_value_of(a, store_setting(a, store, store->sealed), "");

    if (url.n > 0)
        return str_starts(url, STR("https://"));
    return store->sealed_value ? str_is(value, store->sealed_value) : is_on(value);
}

/* [src: Patroni 4.1, "YAML Configuration Settings"] */
static void check_store(struct audit *a, const struct store *store)
{
    const char *sealed = store_setting(a, store, store->sealed);
    struct finding *f = NULL;

    if (a->nomem || !has_prefix(a, store_setting(a, store, "")))
        return;
    if (!is_sealed(a, store)) {
        f = audit_add_setting(a, CHECK_PATRONI_STORE, sealed, "%s is used without TLS", store->name);
    } else if (store->ca && check_programs_value_of(a, store_setting(a, store, store->ca), "").n == 0) {
        f = audit_add_setting(a, CHECK_PATRONI_STORE, store_setting(a, store, store->ca),
                              "%s is not verified: there is no %s", store->name, store->ca);
    } else if (store->verify) {
        const char *verify = store_setting(a, store, store->verify);
        bool on = true;
        if (str_to_bool(check_programs_value_of(a, verify, "on"), &on) && !on)
            f = audit_add_setting(a, CHECK_PATRONI_STORE, verify, "%s is not verified: %s is off",
                                  store->name, store->verify);
    }
    if (f && str_is(str_c(store->name), "consul"))
        f->fix = STR("Set consul.scheme: https and consul.cacert, and leave consul.verify on.");
    if (f && str_is(str_c(store->name), "zookeeper"))
        f->fix = STR("Set zookeeper.use_ssl: true and zookeeper.cacert, and leave zookeeper.verify on.");
}

/* ---- pgBackRest ---- */

/* [src: pgBackRest, "Configuration Reference": repo-storage-verify-tls, tls-server-auth] */
static void check_backup_setting(struct audit *a, const struct subject_setting *raw)
{
    struct str name = str_from(raw->name, sizeof "pgbackrest." - 1);
    bool verifies = true;

    if (str_ends(name, STR("-storage-verify-tls")) && str_to_bool(raw->value, &verifies) && !verifies)
        audit_add(a, CHECK_PGBACKREST_UNVERIFIED, audit_place(a, raw->file, raw->line),
                  "%.*s is off: anyone on the path to the storage can read and replace backups",
                  STR_ARG(name));
    if (str_is(name, "tls-server-auth") && str_ends(raw->value, STR("=*")))
        audit_add(a, CHECK_PGBACKREST_ANY_STANZA, audit_place(a, raw->file, raw->line),
                  "\"%.*s\" may read and write the backups of every stanza",
                  STR_ARG(str_first(raw->value, raw->value.n - 2)));
}

static void check_pgbackrest(struct audit *a)
{
    const struct subject_setting *mode = subject_raw(a->subject, "file.mode"),
                                 *secret = subject_raw(a->subject, "pgbackrest.secret");
    bool others = mode && mode->value.n > 0 && mode->value.p[mode->value.n - 1] >= '4'; /* the last digit */

    for (size_t i = 0; i < a->subject->n_raw; i++)
        if (str_starts(a->subject->raw[i].name, STR("pgbackrest.")))
            check_backup_setting(a, &a->subject->raw[i]);
    if (secret && others)
        audit_add_setting(a, CHECK_PASSWORD_READABLE, "pgbackrest.secret",
                          "the file contains a secret of the storage or of the cipher, and its mode is %.*s",
                          STR_ARG(mode->value));
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
    if (a->subject->kind == SUBJECT_GATE)
        return;
    if (has_prefix(a, "passfile."))
        check_passfile(a);
    if (has_prefix(a, "pgbouncer."))
        check_pgbouncer(a);
    if (has_prefix(a, "pgbackrest."))
        check_pgbackrest(a);
    if (!has_prefix(a, "patroni."))
        return;
    if (has_prefix(a, "patroni.restapi."))
        check_api(a);
    for (size_t i = 0; i < COUNT_OF(stores); i++)
        check_store(a, &stores[i]);
    if (is_on(check_programs_value_of(a, "patroni.ctl.insecure", "off")))
        audit_add_setting(a, CHECK_PATRONI_CTL, "patroni.ctl.insecure", "patronictl verifies no certificate");
}
