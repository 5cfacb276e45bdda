#include "audit/collect_file.h"

#include "audit/collect_client.h"
#include "audit/collect_manifest.h"
#include "audit/collect_rules.h"
#include "audit/regular_file.h"
#include "audit/server_settings.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"
#include "policy/match.h"
#include "policy/policy.h"

#include <openssl/crypto.h>

enum file_kind { FILE_RULES, FILE_CERTIFICATE, FILE_CA, FILE_CRL, FILE_KEY, FILE_OTHER };

static bool has_text(struct str text, const char *part)
{
    return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

/* A file that only holds certificates of CAs is what somebody believes in. */
static enum file_kind kind_of_certificates(struct bytes pem, const char *path)
{
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    AUTO(arena) struct arena scratch = { .blocks = NULL };
    struct cert_info info;

    arena_init(&scratch, 16 << 20, 4096);
    if (cert_chain_from_pem(pem, path, &list, NULL) != OK || list.n == 0 ||
        cert_describe(list.items[0], &scratch, &info, NULL) != OK)
        return FILE_CERTIFICATE;
    return info.is_ca ? FILE_CA : FILE_CERTIFICATE;
}

static enum file_kind kind_of(struct str text, const char *path)
{
    static const char *const types[] = {
        "local", "host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"
    };
    const char *slash = strrchr(path, '/');
    struct str rest = text, line;

    if (has_text(text, "PRIVATE KEY-----"))
        return FILE_KEY;
    if (has_text(text, "-----BEGIN X509 CRL-----"))
        return FILE_CRL;
    if (has_text(text, "-----BEGIN CERTIFICATE-----") ||
        has_text(text, "-----BEGIN TRUSTED CERTIFICATE-----"))
        return kind_of_certificates(str_bytes(text), path);
    if (has_text(str_c(slash ? slash + 1 : path), "hba"))
        return FILE_RULES;
    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        for (size_t i = 0; i < COUNT_OF(types); i++) {
            struct str type = str_c(types[i]);
            if (str_starts(line, type) && line.n > type.n && char_is_blank(line.p[type.n]))
                return FILE_RULES;
        }
        if (line.n > 0 && line.p[0] != '#')
            break;
    }
    return FILE_OTHER;
}

/* The settings under which the file is looked at: nothing else of them was seen. */
static enum code assume(struct audit_subject *subject, const char *name, const char *path,
                        struct arena *arena, struct settings **out)
{
    struct subject_setting *raw = arena_array(arena, 3, sizeof *raw);

    if (!raw)
        return E_NOMEM;
    raw[0] = (struct subject_setting){ .name = STR("ssl"), .value = STR("on"), .in_force = true };
    raw[1] = (struct subject_setting){ .name = STR("ssl_cert_file"), .value = STR(""), .in_force = true };
    raw[2] = (struct subject_setting){ .name = STR("ssl_key_file"), .value = STR(""), .in_force = true };
    for (size_t i = 1; i < 3; i++)
        if (name && str_is(raw[i].name, name))
            raw[i].value = str_c(path);
    size_t n = 3;
    if (name && !str_is(raw[1].name, name) && !str_is(raw[2].name, name)) {
        raw[1].name = str_c(
            name); /* the default of ssl_cert_file is server.crt beside it: not to be looked at */
        raw[1].value = str_c(path);
    }
    TRY(server_settings_make(raw, n, subject, arena, out));
    subject->settings_seen = false;
    subject->n_raw = 0;
    return OK;
}

static enum code collect_file_fill(struct collected *c, enum file_kind kind, const char *path,
                                   struct arena *arena)
{
    static const char *const names[] = {
        [FILE_RULES] = NULL,         [FILE_CERTIFICATE] = "ssl_cert_file", [FILE_CA] = "ssl_ca_file",
        [FILE_CRL] = "ssl_crl_file", [FILE_KEY] = "ssl_key_file",          [FILE_OTHER] = NULL
    };
    unsigned seen = kind == FILE_RULES ? ITEM_RULES : kind == FILE_CERTIFICATE ? ITEM_CERTIFICATE : 0;
    const struct subject_unseen rest = { STR("everything but this file"), STR("it was not given"),
                                         (ITEM_TLS | ITEM_CERTIFICATE | ITEM_RULES | ITEM_EXPIRY) & ~seen };

    TRY(assume(&c->subject, names[kind], path, arena, &c->settings));
    if (!collect_unseen(&c->subject, arena, rest))
        return E_NOMEM;
    if (kind != FILE_RULES)
        return OK;
    const struct hba_lex_fs fs = regular_file_hba_fs(NULL);
    const struct policy_params params = { .hba_file = str_c(path),
                                          .fs = &fs,
                                          .pg_version = c->subject.version,
                                          .ssl_on = true,
                                          .features = { .roles_known = true, .oauth_unchecked = true } };
    return collect_rules(&params, &c->subject, arena, &c->policy);
}

enum code collect_file(const char *path, unsigned version, const struct client_params *client,
                       struct collected *out, struct err *e)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    struct collected c = { .subject = { .kind = SUBJECT_SERVER,
                                        .name = str_c(path),
                                        .version = version,
                                        .ifaces = &iface_system,
                                        .now_unix_s = client->now_unix_s } };

    TRY(os_read_file(path, &text, e));
    enum file_kind kind = kind_of(buf_str(&text), path);
    OPENSSL_cleanse(kind == FILE_KEY ? text.p : NULL, kind == FILE_KEY ? text.n : 0);
    if (kind == FILE_OTHER) {
        bool manifest = collect_is_manifest(str_c(path), buf_str(&text));
        enum code code = manifest ? collect_manifest(path, buf_str(&text), client, out, e)
                                  : collect_client(path, buf_str(&text), client, out, e);
        buf_fini_secret(&text);
        if (code == E_CONFIG)
            err_hint(
                e,
                "A target is a gate's directory, a data directory, the directory of a postgresql.conf, or one of "
                "the files postgresql.conf, pg_hba.conf, a certificate, a revocation list, a key; or a service file, "
                "pgbouncer.ini, pgbackrest.conf, Patroni's YAML, CloudNativePG's manifests, a file of environment variables, or a text with connection strings.");
        return code;
    }
    enum code code = collect_file_fill(&c, kind, path, client->arena);
    if (code == OK)
        *out = c;
    else
        collected_fini(&c);
    return code == OK ? OK : err_set(e, code, "\"%s\" cannot be audited", path);
}
