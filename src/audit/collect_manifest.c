#include "audit/collect_manifest.h"

#include "audit/client_yaml.h"
#include "audit/collect_client.h"
#include "audit/collect_rules.h"
#include "audit/link.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo_text.h"
#include "lex/hba_lex.h"
#include "policy/match.h"
#include "policy/policy.h"

#include <errno.h>
#include <stdio.h>

#define HBA_FILE "/var/lib/postgresql/data/pgdata/pg_hba.conf" /* in the instance's container */
#define IDENT_FILE "/var/lib/postgresql/data/pgdata/pg_ident.conf"
#define CERTIFICATES "/controller/certificates/"
#define CA_ONLY                                                                                              \
    "CloudNativePG verifies the CA and not the name here, and has no setting for more: use its CA for this " \
    "cluster alone."

enum { TEXT_MAX = 1 << 20, DOCUMENTS_MAX = 256, FIXED = 7, POOLER = 4, NAME_SIZE = 256, SCRAM_SINCE = 14 };

struct manifest {
    const char *path;
    struct arena *arena;
    struct client_items items;
    struct collected *collected;
    struct subject_setting *raw;
    size_t n_raw;
    struct str hba, ident, user_rules; /* the texts of the three files */
};

bool collect_is_manifest(struct str name, struct str text)
{
    return (str_ends(name, STR(".yaml")) || str_ends(name, STR(".yml"))) && text.n > 0 &&
           memmem(text.p, text.n, "postgresql.cnpg.io/", 19) != NULL;
}

/* ---- values ---- */

static const struct subject_setting *find(const struct manifest *m, unsigned document, const char *path)
{
    struct str name;

    if (!arena_printf(m->arena, &name, "cnpg%u.%s", document, path))
        return NULL;
    for (size_t i = 0; i < m->items.n_settings; i++)
        if (str_equal(m->items.settings[i].name, name))
            return &m->items.settings[i];
    return NULL;
}

static struct str value_of(const struct manifest *m, unsigned document, const char *path)
{
    const struct subject_setting *found = find(m, document, path);

    return found ? found->value : STR("");
}

/* "cnpgN.PATH" */
static bool whole_path(const struct manifest *m, unsigned document, const char *path, struct str *out)
{
    return arena_printf(m->arena, out, "cnpg%u.%s", document, path);
}

/* What is after the prefix; p is NULL: the setting is not below it. */
static struct str below(const struct manifest *m, size_t i, struct str prefix)
{
    struct str name = m->items.settings[i].name;

    return str_starts(name, prefix) ? str_from(name, prefix.n) : str_of(NULL, 0);
}

/* ---- settings ---- */

static void put(struct manifest *m, const char *name, struct str value, const struct subject_setting *from)
{
    m->raw[m->n_raw++] = (struct subject_setting){ .name = str_c(name),
                                                   .value = value,
                                                   .file = from ? str_c(m->path) : STR(""),
                                                   .line = from ? from->line : 0,
                                                   .source = SUBJECT_FROM_MANIFEST };
}

/* imageName: ghcr.io/cloudnative-pg/postgresql:17.2-1 */
static unsigned version_of(struct str image)
{
    size_t colon = image.n;
    uint32_t version = 0;

    for (size_t i = 0; i < image.n; i++)
        if (image.p[i] == ':')
            colon = i;
    struct str tag = str_from(image, colon + (colon < image.n));
    size_t n = 0;
    while (n < tag.n && tag.p[n] >= '0' && tag.p[n] <= '9')
        n++;
    return str_to_u32(str_first(tag, n), 8, 99, &version) ? version : 0;
}

static enum code fill_settings(struct manifest *m, unsigned document)
{
    struct audit_subject *subject = &m->collected->subject;
    struct str prefix;

    if (!whole_path(m, document, "spec.postgresql.parameters.", &prefix))
        return E_NOMEM;
    put(m, "ssl", STR("on"), NULL);
    put(m, "ssl_min_protocol_version", STR("TLSv1.3"), NULL);
    put(m, "listen_addresses", STR("*"), NULL);
    put(m, "ssl_cert_file", STR(CERTIFICATES "server.crt"), NULL);
    put(m, "ssl_key_file", STR(CERTIFICATES "server.key"), NULL);
    put(m, "ssl_ca_file", STR(CERTIFICATES "client-ca.crt"), NULL);
    for (size_t i = 0; i < m->items.n_settings; i++) {
        struct str name = below(m, i, prefix);
        const char *kept = name.p ? arena_c(m->arena, name) : NULL;
        if (kept)
            put(m, kept, m->items.settings[i].value, &m->items.settings[i]);
    }
    subject->version = version_of(value_of(m, document, "spec.imageName"));
    TRY(server_settings_rank(m->raw, m->n_raw, m->arena));
    return server_settings_make(m->raw, m->n_raw, subject, m->arena, &m->collected->settings);
}

static enum code tell_certificates(struct manifest *m)
{
    static const char *const files[] = { CERTIFICATES "server.crt", CERTIFICATES "server.key",
                                         CERTIFICATES "client-ca.crt" };

    for (size_t i = 0; i < COUNT_OF(files); i++) {
        const struct subject_unseen unseen = { str_c(files[i]), STR("the operator makes it in the cluster"),
                                               ITEM_CERTIFICATE | ITEM_EXPIRY };
        if (!collect_unseen(&m->collected->subject, m->arena, unseen))
            return E_NOMEM;
    }
    return OK;
}

/* ---- rules ---- */

/* The rules of the manifest, each on the line that it has there. */
static enum code write_user_rules(struct manifest *m, unsigned document, const char *path, struct str *out)
{
    AUTO(buf) struct buf text = BUF_INIT(TEXT_MAX);
    unsigned line = 1;
    struct str prefix;

    if (!whole_path(m, document, path, &prefix))
        return E_NOMEM;
    for (size_t i = 0; i < m->items.n_settings; i++) {
        const struct subject_setting *rule = &m->items.settings[i];
        struct str rest = below(m, i, prefix);
        if (!rest.p || rest.n > 0 || str_has_nul(rule->value) || str_find(rule->value, '\n') < rule->value.n)
            continue;
        for (; line < rule->line; line++)
            buf_append_byte(&text, '\n');
        buf_printf(&text, "%.*s\n", STR_ARG(rule->value));
        line++;
    }
    return !text.failed && arena_str(m->arena, buf_str(&text), out) ? OK : E_NOMEM;
}

/* [src: CloudNativePG, "The pg_hba section"] */
static enum code write_rules(struct manifest *m, unsigned document)
{
    unsigned version = m->collected->subject.version;
    struct str maps;

    TRY(write_user_rules(m, document, "spec.postgresql.pg_hba", &m->user_rules));
    TRY(write_user_rules(m, document, "spec.postgresql.pg_ident", &maps));
    bool ok = arena_printf(m->arena, &m->hba,
                           "local all all peer map=local\n"
                           "hostssl postgres streaming_replica all cert map=cnpg_streaming_replica\n"
                           "hostssl replication streaming_replica all cert map=cnpg_streaming_replica\n"
                           "hostssl all cnpg_pooler_pgbouncer all cert map=cnpg_pooler_pgbouncer\n"
                           "include \"%s\"\n"
                           "host all all all %s\n",
                           m->path, version > 0 && version < SCRAM_SINCE ? "md5" : "scram-sha-256") &&
              arena_printf(
                  m->arena, &m->ident,
                  "local postgres postgres\ncnpg_streaming_replica streaming_replica streaming_replica\n"
                  "cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer cnpg_pooler_pgbouncer\n%.*s",
                  STR_ARG(maps));
    return ok ? OK : E_NOMEM;
}

static int read_file(void *ctx, const char *path, struct buf *out)
{
    const struct manifest *m = ctx;
    struct str text = strcmp(path, HBA_FILE) == 0     ? m->hba
                      : strcmp(path, IDENT_FILE) == 0 ? m->ident
                      : strcmp(path, m->path) == 0    ? m->user_rules
                                                      : str_of(NULL, 0);

    if (!text.p)
        return ENOENT;
    return buf_append(out, str_bytes(text)) ? 0 : ENOMEM;
}

static int list_dir(void *ctx, const char *path, void (*entry)(void *arg, const char *name), void *arg)
{
    (void)ctx, (void)path, (void)entry, (void)arg;
    return ENOENT;
}

static int is_dir(void *ctx, const char *path)
{
    (void)ctx, (void)path;
    return 0;
}

static enum code fill_rules(struct manifest *m, unsigned document)
{
    const struct hba_lex_fs fs = { read_file, list_dir, is_dir, m };
    struct policy_params params = { .hba_file = STR(HBA_FILE),
                                    .ident_file = STR(IDENT_FILE),
                                    .fs = &fs,
                                    .ssl_on = true,
                                    .features = { .roles_known = true, .oauth_unchecked = true } };

    TRY(write_rules(m, document));
    m->collected->subject.operators_rules = params.hba_file;
    if (find(m, document, "spec.postgresql.ldap.server")) {
        const struct subject_unseen unseen = { STR("the rule of spec.postgresql.ldap"),
                                               STR("it is not read here"), ITEM_RULES };
        if (!collect_unseen(&m->collected->subject, m->arena, unseen))
            return E_NOMEM;
    }
    return collect_rules(&params, &m->collected->subject, m->arena, &m->collected->policy);
}

/* ---- connections ---- */

static enum code add(struct manifest *m, const struct conn_options *options,
                     struct subject_connection connection)
{
    struct subject_link link;

    connection.file = str_c(m->path);
    return link_of_options(options, m->arena, &link) == OK &&
                   link_add(m->collected, m->arena, connection, link)
               ? OK
               : E_NOMEM;
}

/* Standbys, and the operator itself. */
static enum code add_replicas(struct manifest *m, unsigned document)
{
    const struct subject_setting *instances = find(m, document, "spec.instances");
    struct conn_options options = { .port_of_uri = false };
    uint32_t n;

    if (!instances || !str_to_u32(instances->value, 2, UINT32_MAX, &n))
        return OK;
    options.v[CONN_SSLMODE] = STR("verify-ca");
    if (!arena_printf(m->arena, &options.v[CONN_HOST], "%.*s-rw",
                      STR_ARG(value_of(m, document, "metadata.name"))))
        return E_NOMEM;
    return add(m, &options,
               (struct subject_connection){ .purpose = PURPOSE_CLUSTER,
                                            .name = STR("replicas"),
                                            .line = instances->line,
                                            .fix = STR(CA_ONLY) });
}

/* spec.externalClusters[N].connectionParameters. */
static enum code add_external(struct manifest *m, unsigned document, unsigned number, bool *out_found)
{
    struct conn_options options = { .port_of_uri = false };
    struct subject_connection connection = { .purpose = PURPOSE_CLUSTER };
    char path[NAME_SIZE];
    struct str prefix;

    (void)snprintf(path, sizeof path, "spec.externalClusters[%u].name", number);
    connection.name = value_of(m, document, path);
    *out_found = connection.name.n > 0;
    (void)snprintf(path, sizeof path, "spec.externalClusters[%u].sslRootCert.name", number);
    if (find(m, document, path))
        options.v[CONN_SSLROOTCERT] = STR("root.crt");
    (void)snprintf(path, sizeof path, "spec.externalClusters[%u].connectionParameters.", number);
    if (!whole_path(m, document, path, &prefix))
        return E_NOMEM;
    for (size_t i = 0; i < m->items.n_settings; i++) {
        const struct subject_setting *given = &m->items.settings[i];
        struct str keyword = below(m, i, prefix);
        enum conn_option option;
        if (!keyword.p || !conn_option_find(keyword, &option))
            continue;
        options.v[option] = given->value;
        if (option == CONN_HOST)
            connection.line = given->line;
        if (option == CONN_SSLMODE)
            connection.mode_line = given->line;
    }
    return connection.line > 0 ? add(m, &options, connection) : OK;
}

/* What the operator gives PgBouncer where nothing is said: clients as they like, servers by the CA. */
static enum code add_pooler(struct manifest *m, unsigned document)
{
    const struct subject_setting *client = find(m, document, "spec.pgbouncer.parameters.client_tls_sslmode"),
                                 *server = find(m, document, "spec.pgbouncer.parameters.server_tls_sslmode"),
                                 *kind = find(m, document, "kind");
    struct conn_options options = { .port_of_uri = false };
    struct subject_connection connection = { .purpose = PURPOSE_CLUSTER,
                                             .name = value_of(m, document, "metadata.name"),
                                             .line = server ? server->line : kind->line,
                                             .mode_line = server ? server->line : 0 };

    put(m, "pgbouncer.listen_addr", STR("*"), kind);
    put(m, "pgbouncer.auth_type", STR("hba"), kind);
    put(m, "pgbouncer.client_tls_sslmode", client ? client->value : STR("prefer"), client ? client : kind);
    options.v[CONN_SSLMODE] = server ? server->value : STR("verify-ca");
    if (!server)
        connection.fix = STR("Set spec.pgbouncer.parameters.server_tls_sslmode: verify-full.");
    return arena_printf(m->arena, &options.v[CONN_HOST], "%.*s-rw",
                        STR_ARG(value_of(m, document, "spec.cluster.name")))
               ? add(m, &options, connection)
               : E_NOMEM;
}

/* ---- documents ---- */

static bool is_kind(const struct manifest *m, unsigned document, const char *kind)
{
    return str_is(value_of(m, document, "kind"), kind) &&
           str_starts(value_of(m, document, "apiVersion"), STR("postgresql.cnpg.io/"));
}

static enum code fill_cluster(struct manifest *m, unsigned document)
{
    bool found = true;

    TRY(fill_settings(m, document));
    TRY(tell_certificates(m));
    TRY(fill_rules(m, document));
    TRY(add_replicas(m, document));
    for (unsigned i = 0; found; i++)
        TRY(add_external(m, document, i, &found));
    return OK;
}

static enum code tell_second(struct manifest *m, unsigned document)
{
    struct subject_unseen unseen = { STR(""), STR("only the first cluster of a file is judged"),
                                     ITEM_TLS | ITEM_RULES | ITEM_VERIFIED };

    return arena_printf(m->arena, &unseen.what, "cluster \"%.*s\"",
                        STR_ARG(value_of(m, document, "metadata.name"))) &&
                   collect_unseen(&m->collected->subject, m->arena, unseen)
               ? OK
               : E_NOMEM;
}

static enum code fill(struct manifest *m, const struct client_params *params, size_t *out_found)
{
    struct audit_subject *subject = &m->collected->subject;
    size_t room = m->items.n_settings * 2 + FIXED + POOLER * (size_t)DOCUMENTS_MAX;
    size_t clusters = 0, poolers = 0;

    m->raw = arena_array(m->arena, room, sizeof *m->raw);
    if (!m->raw)
        return E_NOMEM;
    for (unsigned d = 0; d < DOCUMENTS_MAX; d++)
        if (is_kind(m, d, "Pooler") && ++poolers > 0)
            TRY(add_pooler(m, d));
    for (unsigned d = 0; d < DOCUMENTS_MAX; d++)
        if (is_kind(m, d, "Cluster"))
            TRY(clusters++ == 0 ? fill_cluster(m, d) : tell_second(m, d));
    *out_found = clusters + poolers;
    if (clusters > 0)
        return OK;
    struct collected pooler = *m->collected;
    TRY(collect_client_begin(params, m->collected));
    m->collected->subject.connections = pooler.subject.connections;
    m->collected->subject.n_connections = pooler.subject.n_connections;
    TRY(server_settings_rank(m->raw, m->n_raw, m->arena));
    subject->raw = m->raw;
    subject->n_raw = m->n_raw;
    return OK;
}

enum code collect_manifest(const char *path, struct str text, const struct client_params *params,
                           struct collected *out, struct err *e)
{
    AUTO(collected)
    struct collected c = { .subject = { .kind = SUBJECT_SERVER,
                                        .name = str_c(path),
                                        .manifest = true,
                                        .ifaces = &iface_system,
                                        .now_unix_s = params->now_unix_s } };
    struct manifest m = {
        .path = path, .arena = params->arena, .items = { .arena = params->arena }, .collected = &c
    };
    size_t found = 0;

    const char *error = client_yaml_values(text, "cnpg", true, &m.items);
    enum code code = fill(&m, params, &found);
    const struct subject_unseen unseen = { str_c(path), str_c(error), ITEM_TLS | ITEM_RULES | ITEM_VERIFIED };
    if (code == OK && error &&
        (!collect_unseen(&c.subject, params->arena, unseen) ||
         !collect_broken(&c.subject.broken_client, &c.subject.n_broken_client, params->arena,
                         (struct subject_broken){ str_c(path), 0, str_c(error) })))
        code = E_NOMEM;
    if (code != OK)
        return err_set(e, code, "\"%s\" cannot be judged", path);
    if (found == 0 && error)
        return err_set(e, E_CONFIG, "\"%s\" cannot be judged: %s", path, error);
    if (found == 0)
        return err_set(e, E_CONFIG, "\"%s\" describes neither a Cluster nor a Pooler of CloudNativePG", path);
    *out = c;
    c = (struct collected){ .settings = NULL };
    return OK;
}
