#include "audit/check_tls.h"

#include "audit/edit.h"
#include "audit/finding.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/key.h"
#include "tls/ciphers.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { DH_BITS_MIN = 2048, DH_BITS_MAX = 8192, PG_WITH_GROUPS = 18 };

static void check_versions(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (settings->ssl_min_protocol_version < CONF_TLS_1_2)
        edit_setting(a,
                     audit_add_setting(a, CHECK_TLS_VERSION_OLD, "ssl_min_protocol_version",
                                       "clients may use %s, which is broken",
                                       conf_tls_version_name(settings->ssl_min_protocol_version)),
                     "ssl_min_protocol_version", "\'TLSv1.2\'");
    if (settings->ssl_min_protocol_version == CONF_TLS_1_2)
        audit_add_setting(a, CHECK_TLS_VERSION_12, "ssl_min_protocol_version", "clients may use TLSv1.2");
    if (settings->ssl_max_protocol_version != CONF_TLS_ANY &&
        settings->ssl_max_protocol_version < CONF_TLS_1_3)
        edit_setting(a,
                     audit_add_setting(a, CHECK_TLS_VERSION_MAXIMUM, "ssl_max_protocol_version",
                                       "clients get %s at most, and one that demands TLSv1.3 is refused",
                                       conf_tls_version_name(settings->ssl_max_protocol_version)),
                     "ssl_max_protocol_version", "''");
}

/* ssl_ciphers has no say in TLS 1.3, whose suites are all good. */
static void check_ciphers(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct tls_cipher_survey survey;

    if (settings->ssl_min_protocol_version >= CONF_TLS_1_3)
        return;
    if (tls_ciphers_survey(settings->ssl_ciphers.p, a->arena, &survey) != OK) {
        a->nomem = true;
        return;
    }
    if (survey.n_weak > 0)
        edit_setting(a,
                     audit_add_setting(a, CHECK_CIPHERS_WEAK, "ssl_ciphers",
                                       "%zu weak ciphers are offered: %.*s", survey.n_weak,
                                       STR_ARG(survey.weak)),
                     "ssl_ciphers", "'" STRONG_CIPHERS "'");
    if (survey.n_static > 0 && !settings->ssl_prefer_server_ciphers)
        edit_setting(
            a,
            audit_add_setting(
                a, CHECK_CIPHER_ORDER, "ssl_prefer_server_ciphers",
                "a TLSv1.2 client chooses the cipher, and %zu of ssl_ciphers have no forward secrecy",
                survey.n_static),
            "ssl_prefer_server_ciphers", "on");
    if (survey.n_static + survey.n_cbc > 0)
        edit_setting(a,
                     audit_add_setting(a, CHECK_CIPHERS_LEGACY, "ssl_ciphers",
                                       "of %zu ciphers, %zu have no forward secrecy, and %zu use CBC",
                                       survey.n, survey.n_static, survey.n_cbc),
                     "ssl_ciphers", "'" STRONG_CIPHERS "'");
    if (survey.n_dhe > 0)
        audit_add_setting(a, CHECK_CIPHERS_DHE, "ssl_ciphers",
                          "%zu of %zu ciphers use finite-field Diffie-Hellman", survey.n_dhe, survey.n);
}

/* ---- key agreement ---- */

static void judge_dh_params(struct audit *a, EVP_PKEY *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(params, NULL);
    int bits = EVP_PKEY_get_bits(params);

    if (bits < DH_BITS_MIN)
        audit_add_setting(a, CHECK_DH_PARAMS_WEAK, "ssl_dh_params_file", "its prime has %d bits", bits);
    else if (context && bits <= DH_BITS_MAX && EVP_PKEY_param_check(context) != 1)
        audit_add_setting(a, CHECK_DH_PARAMS_WEAK, "ssl_dh_params_file", "its prime is not a safe prime");
    EVP_PKEY_CTX_free(context);
}

static void check_dh_params(struct audit *a, const char *path)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    struct err e;

    if (!path || subject_is_unseen(a->subject, path))
        return;
    if (os_read_file(path, &pem, &e) != OK) {
        audit_add_setting(a, CHECK_DH_PARAMS_WEAK, "ssl_dh_params_file", "%s", err_text(&e));
        return;
    }
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *params = bio ? PEM_read_bio_Parameters(bio, NULL) : NULL;
    if (params)
        judge_dh_params(a, params);
    else
        audit_add_setting(a, CHECK_DH_PARAMS_WEAK, "ssl_dh_params_file", "\"%s\" contains no parameters",
                          path);
    EVP_PKEY_free(params);
    BIO_free(bio);
    ERR_clear_error();
}

/* `needed`: not after a sign that lets OpenSSL pass over a group that it does not have, or takes it out again.
 * [src: OpenSSL 3.5, SSL_CTX_set1_groups_list(3)] */
static bool has_group(struct str groups, const char *name, bool needed)
{
    struct str group;

    while (str_split(&groups, ':', &group)) {
        bool optional = false;
        group = str_trim(group);
        for (; group.n > 0 && strchr("*?-", group.p[0]); group = str_from(group, 1))
            optional = optional || group.p[0] != '*';
        if (str_equal_nocase(group, str_c(name)) && !(needed && optional))
            return true;
    }
    return false;
}

/* A gate runs with this program's OpenSSL; which is too old is told by openssl_unsupported. */
static bool is_out_of_reach(const struct audit_subject *s)
{
    static const char *const older[] = { "3.0", "3.1", "3.2", "3.3", "3.4" };

    return s->kind == SUBJECT_GATE && str_is_one_of(s->openssl, older, COUNT_OF(older));
}

static void check_groups(struct audit *a)
{
    const struct audit_subject *s = a->subject;
    struct str groups = s->settings->ssl_groups;

    if (s->kind == SUBJECT_SERVER && s->version > 0 && s->version < PG_WITH_GROUPS)
        audit_add_setting(a, CHECK_GROUPS_NO_PQ, "ssl_ecdh_curve",
                          "PostgreSQL %u uses a single curve, and has no post-quantum group", s->version);
    else if (!has_group(groups, "X25519MLKEM768", false) && !is_out_of_reach(s))
        audit_add_setting(a, CHECK_GROUPS_NO_PQ, "ssl_groups", "X25519MLKEM768 is not in it");
    if (s->fips == FIPS_ON && has_group(groups, "X25519", true))
        audit_add_setting(a, CHECK_GROUPS_FAIL_IN_FIPS, "ssl_groups",
                          "X25519 is in it, and the system is in FIPS mode");
    if (s->fips == FIPS_ON && s->settings->ssl_min_protocol_version < CONF_TLS_1_3)
        audit_add_setting(a, CHECK_FIPS_EMS, "ssl_min_protocol_version",
                          "TLS 1.2 clients without the extended master secret are refused");
    if (s->fips == FIPS_OFF)
        audit_add(a, CHECK_FIPS_OFF, STR("/proc/sys/crypto/fips_enabled"), "the system is not in FIPS mode");
}

/* ---- the key ---- */

static void check_passphrase(struct audit *a)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    const struct settings *settings = a->subject->settings;
    const char *path = settings->ssl_key_file.path;
    struct err e;

    if (a->subject->kind != SUBJECT_SERVER || settings->ssl_passphrase_command_supports_reload || !path ||
        subject_is_unseen(a->subject, path) || os_read_file(path, &pem, &e) != OK)
        return;
    if (key_is_encrypted(buf_str(&pem)))
        edit_setting(a,
                     audit_add_setting(a, CHECK_PASSPHRASE_BLOCKS_RELOAD,
                                       "ssl_passphrase_command_supports_reload",
                                       "\"%s\" has a passphrase, and is not read at a reload", path),
                     "ssl_passphrase_command_supports_reload", "on");
    if (pem.p)
        OPENSSL_cleanse(pem.p, pem.n);
}

void check_tls(struct audit *a)
{
    const struct settings *settings = a->subject->settings;

    if (!a->subject->settings_seen)
        return;
    if (settings->ssl) {
        check_versions(a);
        check_ciphers(a);
        check_dh_params(a, settings->ssl_dh_params_file.path);
        check_groups(a);
        check_passphrase(a);
    } else if (settings->listen_addresses.n > 0) {
        audit_add_setting(a, CHECK_TLS_OFF, "ssl", "no client can encrypt its connection");
    }
}
