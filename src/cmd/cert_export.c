/*
 * The forms in which drivers want a key and its certificate, and the report of what was made.
 *
 *   libpq, node, Go, ...   PEM, as written anyway
 *   pgJDBC                 PKCS#8 in DER (.pk8); with a passphrase PKCS#12, whose entry pgJDBC wants to be "user"
 *   Npgsql                 PKCS#12
 */
#include "cmd/cert_export.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "cmd/cert_job.h"
#include "cmd/certtext.h"
#include "cmd/drivers.h"

#include <openssl/x509.h>

enum { CONTAINER_LIMIT = 1 << 20, CONNECT_LIMIT = 1 << 16, PORT_OF_INIT = 6432 };

enum container { CONTAINER_PEM, CONTAINER_PK8, CONTAINER_P12 };

static enum container container_of_driver(enum driver driver, bool with_passphrase)
{
    switch (driver_key(driver)) {
    case DRIVER_KEY_PEM:
        return CONTAINER_PEM;
    case DRIVER_KEY_PK8:
        return with_passphrase ? CONTAINER_P12 : CONTAINER_PK8;
    case DRIVER_KEY_P12:
        return CONTAINER_P12;
    }
    UNREACHABLE();
}

static const char *suffix(enum container container)
{
    static const char *const suffixes[] = {
        [CONTAINER_PEM] = "key", [CONTAINER_PK8] = "pk8", [CONTAINER_P12] = "p12"
    };

    return suffixes[container];
}

static enum code unknown_driver(const char *word, struct err *e)
{
    AUTO(buf) struct buf known = BUF_INIT(CONNECT_LIMIT);

    for (enum driver d = DRIVER_LIBPQ; d < DRIVER_COUNT; d++)
        (void)buf_printf(&known, "%s%s", d ? ", " : "", driver_name(d));
    return err_set(e, E_USAGE, "--for takes one of %s, not \"%s\"", buf_c(&known), word);
}

/* The drivers of --for, each once; false in `out` where not wanted. */
static enum code wanted_drivers(const struct cert_job *job, bool out[DRIVER_COUNT], struct err *e)
{
    const char *word;

    for (size_t i = 0; i < DRIVER_COUNT; i++)
        out[i] = false;
    for (size_t i = 0; (word = cmd_value_at(job->cmd, OPT_cert_for, i)); i++) {
        enum driver driver;
        if (!driver_from_name(str_c(word), &driver))
            return unknown_driver(word, e);
        out[driver] = true;
    }
    return OK;
}

static enum code container_path(const struct cert_job *job, const char *base, enum container container,
                                const char **out, struct err *e)
{
    struct str path;

    if (!arena_printf(job->arena, &path, "%s.%s", base, suffix(container)))
        return err_set(e, E_NOMEM, "out of memory");
    *out = path.p;
    return OK;
}

enum code cert_export_check(const struct cert_job *job, const char *base, bool with_passphrase, struct err *e)
{
    bool wanted[DRIVER_COUNT];
    const char *path = base;

    TRY(wanted_drivers(job, wanted, e));
    for (enum driver d = DRIVER_LIBPQ; d < DRIVER_COUNT; d++) {
        if (!wanted[d])
            continue;
        TRY(container_path(job, base, container_of_driver(d, with_passphrase), &path, e));
        if (os_exists(path))
            return err_set(e, E_EXISTS, "file \"%s\" already exists", path);
    }
    return OK;
}

enum code cert_export_check_renewal(const struct cert_job *job, const char *base, bool with_passphrase,
                                    struct err *e)
{
    struct buf data = BUF_INIT(CONTAINER_LIMIT);
    const char *path = base;

    TRY(container_path(job, base, CONTAINER_P12, &path, e));
    if (with_passphrase || !os_exists(path))
        return OK;
    enum code code = os_read_file(path, &data, e);
    if (code == OK && !key_p12_is_open(buf_bytes(&data))) {
        code = err_set(e, E_USAGE, "file \"%s\" is protected by a passphrase: give one for the new key, too",
                       path);
        err_hint(e,
                 "--passphrase asks for it, --passphrase-file and --passphrase-command name where it comes "
                 "from. A file that is no longer needed can be removed.");
    }
    buf_fini_secret(&data);
    return code;
}

static enum code write_container(const struct cert_job *job, const struct cert_made *made,
                                 enum container container, const char **out_path, struct err *e)
{
    struct buf data = BUF_INIT(CONTAINER_LIMIT);
    const struct secret *passphrase = made->files->passphrase, none = { .n = 0 };
    struct key_p12 p12 = { .key = made->leaf->key, .cert = made->leaf->cert, .friendly_name = "user" };
    enum code code = OK;

    TRY(container_path(job, made->base, container, out_path, e));
    if (container == CONTAINER_PEM)
        return OK;
    if (container == CONTAINER_PK8)
        code = key_to_pk8(made->leaf->key, passphrase, &data, e);
    else
        code = key_to_p12(&p12, passphrase ? passphrase : &none, &data, e);
    if (code == OK)
        code = leaf_write_secret(*out_path, buf_bytes(&data), made->files, e);
    buf_fini_secret(&data);
    return code;
}

/* ---- the report ---- */

struct export
{
    const struct cert_job *job;
    const struct cert_made *made;
    struct cert_info info;
    bool wanted[DRIVER_COUNT];
    const char *container[DRIVER_COUNT];  /* its file, where the driver wants one of its own */
    const char *again[CONTAINER_P12 + 1]; /* written because it was there */
    struct str connect[DRIVER_COUNT];
    struct diags diags;
};

static enum code export_driver(struct export *x, enum driver driver, struct err *e)
{
    const struct cert_made *made = x->made;
    AUTO(buf) struct buf text = BUF_INIT(CONNECT_LIMIT);
    bool client = made->use != CA_USE_SERVER, secret = made->files->passphrase != NULL;
    struct driver_facts facts = { .host = made->host ? made->host : "HOST",
                                  .port = made->port ? made->port : PORT_OF_INIT,
                                  .dbname = "DATABASE",
                                  .user = client ? made->name : "USER",
                                  .root = made->root };

    if (client) {
        enum container container = container_of_driver(driver, secret);
        const char *path = made->cert_path;
        TRY(write_container(x->job, made, container, &path, e));
        x->container[driver] = container == CONTAINER_PEM ? NULL : path;
        facts.cert = container == CONTAINER_P12 ? path : made->cert_path;
        facts.key = container == CONTAINER_P12 ? NULL : container == CONTAINER_PK8 ? path : made->key_path;
        facts.key_has_passphrase = secret;
    }
    driver_connect(&text, driver, &facts);
    if (!buf_ok(&text) || !arena_str(x->job->arena, buf_str(&text), &x->connect[driver]))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

/* What issue wrote for a driver is stale after a renewal, whether --for names the driver again or not. */
static enum code export_again(struct export *x, enum container container, struct err *e)
{
    const char *path = "";

    if (!x->made->renewed)
        return OK;
    TRY(container_path(x->job, x->made->base, container, &path, e));
    for (size_t i = 0; i < DRIVER_COUNT; i++)
        if (x->container[i] && strcmp(x->container[i], path) == 0)
            return OK;
    return os_exists(path) ? write_container(x->job, x->made, container, &x->again[container], e) : OK;
}

static void warn(struct export *x)
{
    bool secret = x->made->files->passphrase && x->made->use != CA_USE_SERVER;
    struct diag *row;

    cert_warn(x->made->leaf->cert, &x->info, &x->diags);
    if (secret && (x->wanted[DRIVER_PGX] || x->wanted[DRIVER_LIB_PQ])) {
        row = diags_add(&x->diags, SEV_WARNING, E_UNSUPPORTED, str_c(""), 0,
                        "Go's standard library cannot read an encrypted PKCS #8 key");
        diags_hint(&x->diags, row, "Issue the certificate for %s without a passphrase.",
                   x->wanted[DRIVER_PGX] ? "pgx" : "lib/pq");
    }
    if (x->wanted[DRIVER_PGLOADER]) {
        row = diags_add(&x->diags, SEV_WARNING, E_UNSUPPORTED, str_c(""), 0,
                        "pgloader does not verify the name in the server certificate");
        diags_hint(
            &x->diags, row,
            "It reads the CA from SSL_CERT_FILE, and its pair from ~/.postgresql/postgresql.crt and "
            "postgresql.key. For verify-full connect it through a companion gate: pgseal init --companion.");
    }
}

static void report_text(const struct export *x)
{
    FILE *out = x->job->cmd->out;

    (void)fprintf(out, "%s\n", x->made->cert_path);
    cert_print(out, &x->info, env_now_s(&x->job->cmd->env));
    if (x->made->files->key_path)
        (void)fprintf(out, "  private key  %s%s\n", x->made->key_path,
                      x->made->files->passphrase ? ", with a passphrase" : "");
    for (size_t i = 0; i < DRIVER_COUNT; i++)
        if (x->container[i])
            (void)fprintf(out, "  for %-8s %s\n", driver_name((enum driver)i), x->container[i]);
    for (size_t i = 0; i <= CONTAINER_P12; i++)
        if (x->again[i])
            (void)fprintf(out, "  %-12s %s\n", i == CONTAINER_PK8 ? "PKCS #8" : "PKCS #12", x->again[i]);
    for (size_t i = 0; i < DRIVER_COUNT; i++)
        if (x->wanted[i])
            (void)fprintf(out, "%s\n  %.*s\n", driver_title((enum driver)i), STR_ARG(x->connect[i]));
}

static json_t *json_files(const struct export *x)
{
    json_t *files = json_pack("{s:s}", "certificate", x->made->cert_path);

    if (x->made->files->key_path)
        (void)json_object_set_new(files, "key", json_string(x->made->key_path));
    for (size_t i = 0; i < DRIVER_COUNT; i++)
        if (x->container[i])
            (void)json_object_set_new(files, driver_name((enum driver)i), json_string(x->container[i]));
    for (size_t i = 0; i <= CONTAINER_P12; i++)
        if (x->again[i])
            (void)json_object_set_new(files, suffix((enum container)i), json_string(x->again[i]));
    return files;
}

static enum code report_json(const struct export *x, struct err *e)
{
    json_t *connect = json_object(), *warnings = json_array();
    const struct diag *row;

    for (size_t i = 0; i < DRIVER_COUNT; i++)
        if (x->wanted[i])
            (void)json_object_set_new(connect, driver_name((enum driver)i), json_of(x->connect[i]));
    STAILQ_FOREACH (row, &x->diags.list, next)
        (void)json_array_append_new(warnings, json_of(row->message));
    return json_print(x->job->cmd->out,
                      json_pack("{s:o, s:o, s:o, s:o}", "certificate",
                                cert_json(&x->info, env_now_s(&x->job->cmd->env)), "files", json_files(x),
                                "connect", connect, "warnings", warnings),
                      e);
}

enum code cert_export(const struct cert_job *job, const struct cert_made *made, struct err *e)
{
    struct export x = { .job = job, .made = made };

    diags_init(&x.diags, job->arena);
    TRY(wanted_drivers(job, x.wanted, e));
    TRY(cert_describe(made->leaf->cert, job->arena, &x.info, e));
    for (enum driver d = DRIVER_LIBPQ; d < DRIVER_COUNT; d++)
        if (x.wanted[d])
            TRY(export_driver(&x, d, e));
    TRY(export_again(&x, CONTAINER_PK8, e));
    TRY(export_again(&x, CONTAINER_P12, e));
    warn(&x);
    if (job->cmd->json)
        return report_json(&x, e);
    report_text(&x);
    (void)cmd_diags(job->cmd, &x.diags);
    return OK;
}
