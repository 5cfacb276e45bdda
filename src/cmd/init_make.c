#include "cmd/init_make.h"

#include "auth/verifier.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/secret.h"
#include "cmd/init.h"
#include "pki/leaf.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <sys/un.h>

enum {
    CONF_LIMIT = 1 << 20,
    PASSWORD_BYTES = 24, /* random, before base64 */
    SOCKET_NAME_MAX = 16 /* "/.s.PGSQL.65535" and its NUL */
};

static enum code init_make_nomem(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

static void list_file(struct init_plan *plan, const struct init_file *file, bool kept)
{
    CHECK(plan->n_files < INIT_FILES_MAX);
    plan->files[plan->n_files] = *file;
    plan->files[plan->n_files++].kept = kept;
}

/* Write one file unless it is there; either way it is listed. */
static enum code init_put(struct init_plan *plan, const struct init_file *file, struct bytes data,
                          unsigned mode, struct err *e)
{
    char path[OS_PATH_MAX];

    TRY(os_path(plan->dir, file->name, path, e));
    enum code code = os_exists(path) ? E_EXISTS : os_write_file(path, data, (mode_t)mode, OS_WRITE_NEW, e);
    if (code != OK && code != E_EXISTS)
        return code;
    list_file(plan, file, code == E_EXISTS);
    return OK;
}

/* ---- certificates ---- */

/* What everybody may read of the CA is in tls/, so that ca/ can move to another machine. */
static enum code publish(struct init_plan *plan, const char *name, const char *to, const char *says,
                         struct err *e)
{
    AUTO(buf) struct buf data = BUF_INIT(OS_FILE_LIMIT);
    char path[OS_PATH_MAX];

    TRY(os_path(plan->dir, name, path, e));
    TRY(os_read_file(path, &data, e));
    return init_put(plan, &(struct init_file){ .name = to, .says = says }, buf_bytes(&data), 0644, e);
}

/* A passphrase that was asked for is not asked for again. */
static enum code give_known(void *ctx, struct secret *out, struct err *e)
{
    const struct secret *known = ctx;

    return secret_set(out, secret_bytes(known)) == OK ? OK : init_make_nomem(e);
}

static enum code make_ca(struct init_plan *plan, const char *dir, struct secret *passphrase, struct err *e)
{
    struct ca_params params = { .key = KEY_P256, .days = CA_DAYS_DEFAULT, .path_length = 0 };

    if (!arena_printf(plan->arena, &params.common_name, "pgseal CA %.48s", plan->host))
        return init_make_nomem(e);
    if (passphrase_requested(&plan->ca_passphrase)) {
        TRY(passphrase_new(&plan->ca_passphrase, passphrase, e));
        params.passphrase = passphrase;
    }
    return ca_create(dir, &params, plan->env, e);
}

/*
 * Make the CA, or take the one that is there. NULL in `out`: there was one, and it is kept elsewhere; a second
 * one, which no client knows, would help nobody.
 */
static enum code have_ca(struct init_plan *plan, struct ca **out, struct err *e)
{
    AUTO(secret) struct secret passphrase = { .n = 0 };
    struct key_passphrase known = { give_known, &passphrase }, asked = passphrase_for(&plan->ca_passphrase);
    char dir[OS_PATH_MAX], own[OS_PATH_MAX], root[OS_PATH_MAX];

    TRY(os_path(plan->dir, "ca", dir, e));
    TRY(os_path(dir, "ca.crt", own, e));
    TRY(os_path(plan->dir, "tls/ca.crt", root, e));
    bool there = os_exists(own);
    if (!there && os_exists(root))
        return OK;
    list_file(plan, &(struct init_file){ .name = "ca/", .says = "the private CA; keep ca.key to yourself" },
              there);
    if (!there)
        TRY(make_ca(plan, dir, &passphrase, e));
    const struct ca_where where = { dir, passphrase.n ? &known : &asked, plan->env };
    TRY(ca_open(&where, CA_SIGN, out, e));
    TRY(publish(plan, "ca/ca.crt", "tls/ca.crt", "the CA certificate: clients' sslrootcert", e));
    return publish(plan, "ca/ca.crl", "tls/ca.crl", "the revocation list", e);
}

struct wanted {
    const char *base; /* below the gate's directory, without .crt and .key */
    const char *says;
    struct ca_request request;
};

static enum code refuse_without_ca(const struct init_plan *plan, const struct wanted *wanted, struct err *e)
{
    (void)err_set(e, E_NO_FILE,
                  "\"%s\" is missing in \"%s\", and the CA that would issue it is not in \"%s/ca\"",
                  wanted->base, plan->dir, plan->dir);
    err_hint(e,
             "The CA of tls/ca.crt is kept elsewhere: copy its directory there, and remove it afterwards.");
    return E_NO_FILE;
}

static enum code make_leaf(struct init_plan *plan, struct ca *ca, const struct wanted *wanted, struct err *e)
{
    AUTO(leaf) struct leaf leaf = { NULL, NULL };
    struct str cert_name, key_name;
    char cert_path[OS_PATH_MAX], key_path[OS_PATH_MAX];

    if (!arena_printf(plan->arena, &cert_name, "%s.crt", wanted->base) ||
        !arena_printf(plan->arena, &key_name, "%s.key", wanted->base))
        return init_make_nomem(e);
    TRY(os_path(plan->dir, cert_name.p, cert_path, e));
    TRY(os_path(plan->dir, key_name.p, key_path, e));
    bool there = os_exists(cert_path) && os_exists(key_path);
    list_file(plan, &(struct init_file){ .name = cert_name.p, .says = wanted->says }, there);
    list_file(plan, &(struct init_file){ .name = key_name.p, .says = "its private key, mode 0600" }, there);
    if (there)
        return OK;
    if (!ca)
        return refuse_without_ca(plan, wanted, e);
    TRY(leaf_make(&(struct leaf_wish){ ca, plan->env, &wanted->request, KEY_P256 }, &leaf, e));
    struct leaf_files files = LEAF_FILES_INIT;
    files.cert_path = cert_path;
    files.key_path = key_path;
    return leaf_write(&leaf, &files, e);
}

/* A common name for people to read; clients look at the alternative names. Long ones are cut. */
static struct str readable_name(const struct san *san, struct arena *arena)
{
    struct str text = STR("pgseal");

    if (san_text(san, arena, &text, NULL) != OK)
        return STR("pgseal");
    text = str_from(text, str_find(text, ':') + 1);
    return str_first(text, CA_NAME_MAX);
}

static enum code make_server_certs(struct init_plan *plan, struct ca *ca, struct err *e)
{
    struct wanted gate = { .base = "tls/server", .says = "the gate's certificate" };
    struct wanted behind = { .base = "upstream/server", .says = "for the upstream server: copy it there" };
    char path[OS_PATH_MAX];

    gate.request = (struct ca_request){ .use = CA_USE_SERVER,
                                        .common_name = readable_name(&plan->sans[0], plan->arena),
                                        .sans = plan->sans,
                                        .n_sans = plan->n_sans,
                                        .days = plan->days };
    TRY(make_leaf(plan, ca, &gate, e));
    if (!plan->n_upstream_sans)
        return OK;
    behind.request = gate.request;
    behind.request.common_name = readable_name(&plan->upstream_sans[0], plan->arena);
    behind.request.sans = plan->upstream_sans;
    behind.request.n_sans = plan->n_upstream_sans;
    TRY(os_path(plan->dir, "upstream", path, e));
    TRY(os_mkdir(path, 0700, e));
    return make_leaf(plan, ca, &behind, e);
}

static enum code make_client_cert(struct init_plan *plan, struct ca *ca, struct err *e)
{
    struct wanted client = { .says = "a client certificate" };
    struct str base;
    char path[OS_PATH_MAX];

    if (!plan->user)
        return OK;
    if (!arena_printf(plan->arena, &base, "clients/%s", plan->user_file))
        return init_make_nomem(e);
    client.base = base.p;
    client.request = (struct ca_request){ .use = CA_USE_CLIENT,
                                          .common_name = str_c(plan->user),
                                          .days = plan->days };
    TRY(os_path(plan->dir, "clients", path, e));
    TRY(os_mkdir(path, 0700, e));
    return make_leaf(plan, ca, &client, e);
}

static enum code make_certs(struct init_plan *plan, struct err *e)
{
    AUTO(ca) struct ca *ca = NULL;
    char path[OS_PATH_MAX];

    TRY(os_path(plan->dir, "tls", path, e));
    TRY(os_mkdir(path, 0711, e));
    TRY(have_ca(plan, &ca, e));
    TRY(make_server_certs(plan, ca, e));
    return make_client_cert(plan, ca, e);
}

/* ---- the gate's own password at the server ---- */

/* Fills `password` with 32 printable characters and the plan with its verifier. */
static enum code invent_password(struct init_plan *plan, struct secret *password, struct err *e)
{
    uint8_t raw[PASSWORD_BYTES], text[2 * PASSWORD_BYTES];
    AUTO(buf) struct buf printed = BUF_INIT(CONF_LIMIT);
    struct scram_verifier verifier;

    if (!env_random(plan->env, raw, sizeof raw))
        return err_set(e, E_INTERNAL, "could not generate random bytes");
    int n = EVP_EncodeBlock(text, raw, sizeof raw);
    enum code code = secret_set(password, bytes_of(text, (size_t)n));
    if (code == OK)
        code = scram_verifier_make_random(secret_bytes(password), SCRAM_ITERATIONS_DEFAULT, plan->env,
                                          &verifier);
    wipe(raw, sizeof raw);
    wipe(text, sizeof text);
    if (code != OK || !scram_verifier_print(&verifier, &printed))
        return err_set(e, E_INTERNAL, "could not make a password for the gate");
    return arena_str(plan->arena, buf_str(&printed), &plan->gate_secret) ? OK : init_make_nomem(e);
}

static void append_passfile_field(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == ':' || value.p[i] == '\\')
            (void)buf_append_byte(out, '\\');
        (void)buf_append_byte(out, (uint8_t)value.p[i]);
    }
}

static enum code make_passfile(struct init_plan *plan, struct err *e)
{
    static const struct init_file file = { .name = "upstream.pgpass",
                                           .says = "the gate's own password, mode 0600" };
    AUTO(secret) struct secret password = { .n = 0 };
    struct buf line = BUF_INIT(CONF_LIMIT);
    char path[OS_PATH_MAX];

    if (!plan->own_passfile)
        return OK;
    TRY(os_path(plan->dir, file.name, path, e));
    if (os_exists(path)) {
        list_file(plan, &file, true);
        return OK;
    }
    TRY(invent_password(plan, &password, e));
    (void)buf_append_c(&line, "*:*:*:");
    append_passfile_field(&line, plan->gate_user);
    (void)buf_append_byte(&line, ':');
    append_passfile_field(&line, str_from_bytes(secret_bytes(&password)));
    (void)buf_append_byte(&line, '\n');
    enum code code = buf_ok(&line) ? init_put(plan, &file, buf_bytes(&line), 0600, e) : init_make_nomem(e);
    buf_fini_secret(&line);
    return code;
}

/* ---- settings and rules ---- */

/* 'value' as postgresql.conf wants it. */
static void append_quoted(struct buf *out, struct str value)
{
    (void)buf_append_byte(out, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            (void)buf_append_byte(out, (uint8_t)value.p[i]);
        (void)buf_append_byte(out, (uint8_t)value.p[i]);
    }
    (void)buf_append_byte(out, '\'');
}

static void setting(struct buf *out, const char *name, struct str value)
{
    (void)buf_printf(out, "%s = ", name);
    append_quoted(out, value);
    (void)buf_append_byte(out, '\n');
}

/* The directory itself, where a socket's address has room for its name. */
struct str init_socket_dir(const struct init_plan *plan)
{
    struct sockaddr_un address;
    struct str dir = str_c(plan->dir);

    return dir.n + SOCKET_NAME_MAX <= sizeof address.sun_path ? dir : STR("/tmp");
}

/* Nobody yet. */
static void append_status_users(struct buf *out)
{
    (void)buf_append_c(
        out, "\n# The status database, dbname=pgseal. Name these users in pg_hba.conf, too.\n"
             "admin_users = ''                   # may reload, cancel and terminate, and see everything\n"
             "stats_users = ''                   # may see all sessions\n");
}

/* Clients of a companion are on this machine, and have no TLS. */
static void append_companion(struct buf *out, const struct init_plan *plan)
{
    (void)buf_append_c(
        out, "# Settings of a companion gate, in the syntax of postgresql.conf. See pgseal.conf(5).\n\n"
             "# Where the application reaches it: on this machine, without TLS.\n");
    setting(out, "listen_addresses", str_c(plan->listen));
    (void)buf_printf(out, "port = %u\n", plan->port);
    setting(out, "unix_socket_directories", init_socket_dir(plan));
    (void)buf_append_c(out, "unix_socket_permissions = 0777     # 0770: the group only\n"
                            "\n# The server: TLS, and only if its certificate and name are right.\n"
                            "# No dbname in it: each client gets the database that it asks for.\n");
    setting(out, "upstream", plan->upstream);
    (void)buf_append_c(
        out,
        "auth_source = upstream             # the server checks passwords; the exchange is relayed\n# Passwords for the status database are checked in this database of the server:\n");
    setting(out, "auth_dbname", plan->auth_dbname);
    append_status_users(out);
}

/* The status database is one of "all", but is not for the application's users. */
#define STATUS_RULES_NOTE                                                                                       \
    "# The status database is for the users in admin_users and stats_users of pgseal.conf. Name them here as\n" \
    "# well. The gate's own account needs no rule (pgseal psql).\n"                                             \
    "#\n"

static void append_status_rules(struct buf *out, const struct init_plan *plan)
{
    if (!plan->companion) {
        (void)buf_append_c(out, "#hostssl pgseal    dba, monitor  all  scram-sha-256\n"
                                "hostssl  pgseal    all   all      reject\n");
        return;
    }
    (void)buf_append_c(out, "#local  pgseal       dba, monitor        scram-sha-256\n"
                            "local   pgseal       all                 reject\n");
    if (plan->listen[0])
        (void)buf_append_c(out, "host    pgseal       all   all           reject\n");
}

static void append_companion_rules(struct buf *out, const struct init_plan *plan)
{
    (void)buf_append_c(
        out,
        "# Who may connect how, in the syntax of PostgreSQL's pg_hba.conf. The first line that matches\n# applies; a connection that matches none is refused. Other machines are not admitted.\n"
        "#\n" STATUS_RULES_NOTE "# TYPE  DATABASE     USER  ADDRESS       METHOD\n");
    append_status_rules(out, plan);
    (void)buf_append_c(out, "local   all          all                 scram-sha-256\n"
                            "local   replication  all                 scram-sha-256\n");
    if (plan->listen[0])
        (void)buf_append_c(out, "host    all          all   127.0.0.1/32  scram-sha-256\n"
                                "host    all          all   ::1/128       scram-sha-256\n");
}

static void append_settings(struct buf *out, const struct init_plan *plan)
{
    (void)buf_append_c(out,
                       "# Settings of this gate, in the syntax of postgresql.conf. See pgseal.conf(5).\n\n"
                       "# Where clients reach it.\n");
    setting(out, "listen_addresses", str_c(plan->listen));
    (void)buf_printf(out, "port = %u\n", plan->port);
    setting(out, "unix_socket_directories", init_socket_dir(plan));
    (void)buf_append_c(out,
                       "\n# Metrics for Prometheus and a page for people, on this machine.\n"
                       "#http_listen = '127.0.0.1:9187'    # then open http://127.0.0.1:9187/status\n"
                       "#http_token_file = 'http.token'    # else every user of this machine may read it\n");
    (void)buf_append_c(
        out,
        "\n# TLS. Relative names start at this directory.\n"
        "ssl = on\n"
        "ssl_cert_file = 'tls/server.crt'\n"
        "ssl_key_file = 'tls/server.key'\n"
        "ssl_ca_file = 'tls/ca.crt'         # client certificates must come from this CA\n"
        "ssl_crl_file = 'tls/ca.crl'\n"
        "ssl_min_protocol_version = 'TLSv1.2'\n"
        "# Of TLS 1.2 only ciphers with forward secrecy and authenticated encryption.\n"
        "ssl_ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305'\n"
        "reload_policy = strict             # refuse reloads with certificates that clients would refuse\n"
        "\n# The upstream server.\n");
    (void)buf_append_c(out, "# No dbname in it: each client gets the database that it asks for.\n");
    setting(out, "upstream", plan->upstream);
    if (!plan->upstream_is_tcp) {
        (void)buf_append_c(
            out,
            "auth_source = upstream             # the password exchange is relayed\n# Passwords for the status database are checked in this database of the server:\n");
        setting(out, "auth_dbname", plan->auth_dbname);
        return;
    }
    (void)buf_append_c(out, "auth_source = query                # secrets are read from the server,\n"
                            "# as this user and in this database, whichever one the client asks for:\n");
    setting(out, "auth_user", plan->gate_user);
    setting(out, "auth_dbname", plan->auth_dbname);
    (void)buf_append_c(out, "upstream_login = scram             # with each client's own SCRAM keys\n");
}

static void append_rules(struct buf *out, const struct init_plan *plan)
{
    (void)buf_append_c(
        out,
        "# Who may connect how, in the syntax of PostgreSQL's pg_hba.conf. The first line that matches\n# applies; a connection that matches none is refused. Only TLS is admitted, with a password exchange that\n# never sends the password.\n"
        "#\n");
    if (plan->user)
        (void)buf_printf(
            out,
            "# To demand a client certificate of one user as well, put this before the last line:\n"
            "# hostssl  all  \"%s\"  all  scram-sha-256  clientcert=verify-full\n"
            "#\n",
            plan->user);
    (void)buf_append_c(out, STATUS_RULES_NOTE "# TYPE   DATABASE  USER  ADDRESS  METHOD\n");
    append_status_rules(out, plan);
    (void)buf_append_c(out, "hostssl  all       all   all      scram-sha-256\n");
}

/* pgseal.conf, pg_hba.conf, pg_ident.conf. */
static enum code init_write_conf(struct init_plan *plan, struct err *e)
{
    static const char maps[] =
        "# Maps of names in certificates or of the operating system to users, in the syntax\n"
        "# of PostgreSQL's pg_ident.conf.\n"
        "#\n"
        "# MAPNAME  SYSTEM-USERNAME  DATABASE-USERNAME\n";
    AUTO(buf) struct buf settings = BUF_INIT(CONF_LIMIT);
    AUTO(buf) struct buf rules = BUF_INIT(CONF_LIMIT);

    if (plan->companion) {
        append_companion(&settings, plan);
        append_companion_rules(&rules, plan);
    } else {
        append_settings(&settings, plan);
        append_status_users(&settings);
        append_rules(&rules, plan);
    }
    if (!buf_ok(&settings) || !buf_ok(&rules))
        return init_make_nomem(e);
    TRY(init_put(plan, &(struct init_file){ .name = "pgseal.conf", .says = "settings" }, buf_bytes(&settings),
                 0600, e));
    TRY(init_put(plan,
                 &(struct init_file){ .name = "pg_hba.conf",
                                      .says = plan->companion ? "rules: this machine only"
                                                              : "rules: TLS and SCRAM only" },
                 buf_bytes(&rules), 0600, e));
    return init_put(plan, &(struct init_file){ .name = "pg_ident.conf", .says = "maps: none yet" },
                    str_bytes(str_c(maps)), 0600, e);
}

/* ---- all of it ---- */

enum code init_make(struct init_plan *plan, struct err *e)
{
    if (!plan->companion)
        TRY(make_certs(plan, e));
    TRY(make_passfile(plan, e));
    return init_write_conf(plan, e);
}
