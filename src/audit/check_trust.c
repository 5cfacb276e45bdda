#include "audit/check_trust.h"

#include "audit/public_cas.h"
#include "base/buf.h"
#include "base/check.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"
#include "pki/chain.h"
#include "pki/expiry.h"
#include "pki/trust.h"
#include "policy/policy.h"

#include <dirent.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

enum {
    DAY_S = 86400,
    INTERMEDIATES_MANY = 3,
    KEY_FILES_MAX = 200,
    KEY_FILE_MAX = 1 << 16,
    CA_YEARS_LONG = 5
};

static void about(struct audit *a, struct finding *f, struct str subject)
{
    if (f)
        f->about = audit_text(a, "%.*s %.*s", STR_ARG(f->where), STR_ARG(subject));
}

/* A file that may be opened: what was not to be seen has been said. NULL: none. */
static const char *seen(const struct audit *a, const char *path)
{
    return path && !subject_is_unseen(a->subject, path) ? path : NULL;
}

/* ---- the leaf ---- */

static bool has_san(const struct cert_info *info, struct str name)
{
    for (size_t i = 0; i < info->n_sans; i++) {
        struct str san = str_from(info->sans[i], str_find(info->sans[i], ':') + 1);
        size_t dot = str_find(name, '.');
        if (str_equal_nocase(san, name))
            return true;
        if (str_starts(san, STR("*.")) && str_equal_nocase(str_from(san, 1), str_from(name, dot)))
            return true;
    }
    return false;
}

static void check_names(struct audit *a, X509 *leaf, const struct cert_info *info, const char *file)
{
    struct name_value cn;
    struct err e;

    if (info->n_sans == 0 || name_cn(X509_get_subject_name(leaf), a->arena, &cn, &e) != OK || !cn.present ||
        cn.has_nul || str_find(cn.value, '.') == cn.value.n || str_find(cn.value, ' ') < cn.value.n)
        return;
    if (!has_san(info, cn.value))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_CN_ONLY, str_c(file),
                        "\"%.*s\" is the common name, but not a subject alternative name", STR_ARG(cn.value)),
              info->subject);
}

static void check_use(struct audit *a, X509 *leaf, const struct cert_info *info, const char *file)
{
    const char *lacks = NULL;

    if (!(info->eku & (CERT_EKU_SERVER | CERT_EKU_ANY)))
        lacks = "its extended key usage lacks serverAuth";
    else if (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE &&
             !(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE))
        lacks = "its key usage lacks digitalSignature";
    if (lacks)
        about(a,
              audit_add(a, CHECK_CERTIFICATE_EKU, str_c(file), "\"%.*s\": %s", STR_ARG(info->subject), lacks),
              info->subject);
}

static void check_binding(struct audit *a, X509 *leaf, const struct cert_info *info, const char *file)
{
    uint8_t hash[CERT_HASH_MAX];
    struct err e;
    size_t n;

    if (cert_end_point_hash(leaf, hash, &n, &e) == E_UNSUPPORTED ||
        str_starts(info->signature, STR("RSASSA-PSS")) || str_equal_nocase(info->signature, STR("rsassaPss")))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_PLUS_UNFIT, str_c(file),
                        "\"%.*s\" is signed with %.*s, which has no digest for SCRAM-SHA-256-PLUS",
                        STR_ARG(info->subject), STR_ARG(info->signature)),
              info->subject);
}

/* ---- the chain ---- */

static bool is_root(X509 *cert)
{
    return cert_self_signed(cert);
}

static void check_order(struct audit *a, const struct cert_list *chain, const char *file)
{
    size_t intermediates = 0;
    struct chain_report report;
    struct err e;

    if (chain_order(chain, a->arena, &report, &e) == OK && report.fault == CHAIN_OUT_OF_ORDER)
        audit_add(a, CHECK_CHAIN_ORDER, str_c(file),
                  "\"%.*s\" does not follow the certificate that it issued", STR_ARG(report.subject));
    for (size_t i = 1; i < chain->n; i++) {
        if (is_root(chain->items[i]))
            audit_add(a, CHECK_CHAIN_HAS_ROOT, str_c(file), "certificate %zu is self-signed", i + 1);
        else
            intermediates++;
    }
    if (intermediates >= INTERMEDIATES_MANY)
        audit_add(a, CHECK_CHAIN_LONG, str_c(file), "%zu intermediate certificates are sent", intermediates);
}

static void check_end(struct audit *a, X509 *issuer, const struct cert_info *leaf, const char *file)
{
    int64_t begin, end;
    char first[EXPIRY_DATE_SIZE], last[EXPIRY_DATE_SIZE];
    struct str subject;
    struct err e;

    if (cert_times(issuer, &begin, &end, &e) != OK || end >= leaf->not_after_unix_s ||
        name_slash(X509_get_subject_name(issuer), a->arena, &subject, &e) != OK)
        return;
    about(a,
          audit_add(a, CHECK_CERTIFICATE_CA_ENDS_FIRST, str_c(file),
                    "\"%.*s\" expires at %s, but \"%.*s\", which depends on it, at %s", STR_ARG(subject),
                    expiry_date(end, first), STR_ARG(leaf->subject),
                    expiry_date(leaf->not_after_unix_s, last)),
          subject);
}

/* ---- public CAs ---- */

/* [src: CA/Browser Forum, TLS Baseline Requirements 2.2.6, section 6.3.2] */
static int64_t public_limit_days(int64_t begin_unix_s)
{
    static const struct {
        int64_t from_unix_s, days;
    } limits[] = { { 1868227200, 47 }, { 1805068800, 100 }, { 1773532800, 200 } };

    for (size_t i = 0; i < COUNT_OF(limits); i++)
        if (begin_unix_s >= limits[i].from_unix_s)
            return limits[i].days;
    return 0;
}

static void check_public_life(struct audit *a, const struct cert_list *chain, const struct cert_info *leaf,
                              const char *file)
{
    AUTO(cert_list) struct cert_list roots = { 0 };
    int64_t days = (leaf->not_after_unix_s - leaf->not_before_unix_s) / DAY_S;
    int64_t limit = public_limit_days(leaf->not_before_unix_s);

    if (limit == 0 || days <= limit)
        return;
    public_cas_load(&roots);
    if (public_cas_issued(chain->items[chain->n - 1], &roots))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_OVER_PUBLIC_LIMIT, str_c(file),
                        "it is valid for %" PRId64 " days; public CAs may issue for %" PRId64, days, limit),
              leaf->subject);
}

void check_chain_shape(struct audit *a, const struct cert_list *chain, const bool *used, const char *file)
{
    AUTO(trust) struct trust anchors = { 0 };
    X509 *leaf = chain->items[0];
    struct cert_info info;
    struct err e;

    if (cert_describe(leaf, a->arena, &info, &e) != OK)
        return;
    check_names(a, leaf, &info, file);
    check_use(a, leaf, &info, file);
    check_binding(a, leaf, &info, file);
    check_order(a, chain, file);
    check_public_life(a, chain, &info, file);
    for (size_t i = 1; i < chain->n; i++)
        if (!used || used[i])
            check_end(a, chain->items[i], &info, file);
    for (size_t i = 0; subject_client_ca(a->subject, i); i++) {
        const char *ca = seen(a, subject_client_ca(a->subject, i));
        if (ca && trust_load(ca, &anchors, &e) != OK)
            return;
    }
    for (size_t i = 0; i < anchors.certs.n; i++) /* the root, which the file need not hold */
        if (cert_issued_by(chain->items[chain->n - 1], anchors.certs.items[i]) &&
            !cert_list_has(chain, anchors.certs.items[i]))
            check_end(a, anchors.certs.items[i], &info, file);
}

/* ---- CAs that are believed ---- */

static void check_ca_life(struct audit *a, X509 *ca, const char *file)
{
    char text[EXPIRY_DATE_SIZE];
    struct cert_info info;
    struct err e;

    if (cert_describe(ca, a->arena, &info, &e) != OK)
        return;
    int64_t life = info.not_after_unix_s - info.not_before_unix_s;
    int64_t left = info.not_after_unix_s - a->subject->now_unix_s;
    bool late = left < life / 6 || (life >= CA_YEARS_LONG * 365LL * DAY_S && left < 365LL * DAY_S);
    struct expiry expiry = expiry_judge(info.not_before_unix_s, info.not_after_unix_s,
                                        a->subject->now_unix_s);
    if (!info.is_ca || !late || expiry.status == EXPIRY_CRITICAL) /* that is reported already */
        return;
    about(a,
          audit_add(a, CHECK_CA_EXPIRING, str_c(file), "\"%.*s\" expires in %" PRId64 " days, at %s",
                    STR_ARG(info.subject), left / DAY_S, expiry_date(info.not_after_unix_s, text)),
          info.subject);
}

static bool asks_for_certificates(const struct policy *policy)
{
    for (size_t i = 0; policy && i < policy_rule_count(policy); i++)
        if (policy_rule(policy, i)->clientcert != CLIENTCERT_NONE)
            return true;
    return false;
}

/* The server's certificate would be taken for a client's. */
static void check_shared(struct audit *a, const struct cert_list *cas)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    const char *file = seen(a, a->subject->settings->ssl_cert_file.path);
    struct cert_info info;
    struct err e;

    if (!file || !asks_for_certificates(a->subject->policy) || cert_chain_load(file, &chain, &e) != OK ||
        cert_describe(chain.items[0], a->arena, &info, &e) != OK ||
        !(info.eku & (CERT_EKU_CLIENT | CERT_EKU_ANY)))
        return;
    for (size_t i = 0; i < chain.n; i++) {
        if (!public_cas_issued(chain.items[i], cas))
            continue;
        about(a,
              audit_add(a, CHECK_CLIENT_CA_SHARED, str_c(file),
                        "\"%.*s\" is issued by a CA of ssl_ca_file and may be used by a client",
                        STR_ARG(info.subject)),
              info.subject);
        return;
    }
}

static void check_public(struct audit *a, const struct cert_list *cas, const char *file)
{
    AUTO(cert_list) struct cert_list roots = { 0 };
    struct str subject;
    struct err e;

    public_cas_load(&roots);
    for (size_t i = 0; i < cas->n; i++) {
        if (!cert_list_has(&roots, cas->items[i]) ||
            name_slash(X509_get_subject_name(cas->items[i]), a->arena, &subject, &e) != OK)
            continue;
        about(
            a,
            audit_add(a, CHECK_CLIENT_CA_IS_PUBLIC, str_c(file), "\"%.*s\" is a public CA", STR_ARG(subject)),
            STR("public"));
        return;
    }
}

/* ---- keys that lie about ---- */

static bool is_key_of(const char *path, const struct cert_list *cas)
{
    AUTO(buf) struct buf pem = BUF_INIT(KEY_FILE_MAX);
    EVP_PKEY *key = NULL;
    bool fits = false;

    if (os_read_file(path, &pem, NULL) == OK && memmem(pem.p, pem.n, "PRIVATE KEY-----", 16) &&
        !key_is_encrypted(buf_str(&pem)) && key_from_pem(buf_bytes(&pem), path, NULL, &key, NULL) == OK)
        for (size_t i = 0; i < cas->n; i++)
            fits = fits || (X509_check_ca(cas->items[i]) > 0 && key_fits(key, cas->items[i]));
    if (pem.p)
        OPENSSL_cleanse(pem.p, pem.n);
    key_free(key);
    return fits;
}

static void check_keys_in(struct audit *a, const char *dir, const struct cert_list *cas)
{
    DIR *opened = opendir(dir);
    char path[OS_PATH_MAX];
    struct dirent *entry;
    size_t looked_at = 0;
    struct stat st;

    while (opened && looked_at < KEY_FILES_MAX && (entry = readdir(opened))) {
        struct str name = str_c(entry->d_name);
        if ((!str_ends(name, STR(".key")) && !str_ends(name, STR(".pem"))) ||
            os_path(dir, entry->d_name, path, NULL) != OK || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        looked_at++;
        const char *served = a->subject->settings->ssl_key_file.path;
        if ((served && strcmp(served, path) == 0) || !is_key_of(path, cas))
            continue;
        unsigned mode = st.st_mode & 07777;
        struct finding *f = audit_add(a, CHECK_CA_KEY_ON_SERVER, audit_text(a, "%s", path),
                                      "it is the key of a CA in use%s; its mode is %04o",
                                      mode & 077 ? ", and others can read it" : "", mode);
        if (f && mode & 077)
            f->severity = FINDING_HIGH;
    }
    if (opened)
        (void)closedir(opened);
}

static void add_certs(const char *path, struct cert_list *out)
{
    AUTO(trust) struct trust found = { 0 };

    if (!path || trust_load(path, &found, NULL) != OK)
        return;
    for (size_t i = 0; i < found.certs.n; i++)
        if (cert_list_add(out, found.certs.items[i]) != OK)
            return;
}

/* The CA that pgseal harden makes: in ca/ beside the certificate. */
static void check_ca_beside(struct audit *a, const char *cert, struct cert_list *in_use)
{
    char dir[OS_PATH_MAX], ca[OS_PATH_MAX], file[OS_PATH_MAX];

    if (!cert || os_dir_of(cert, dir, NULL) != OK || strcmp(dir, a->subject->settings->dir.p) == 0 ||
        os_path(dir, "ca", ca, NULL) != OK || os_path(ca, "ca.crt", file, NULL) != OK || !os_exists(file))
        return;
    add_certs(file, in_use);
    check_keys_in(a, ca, in_use);
}

/* During a rollover there are two CAs. */
static void check_rollover_keys(struct audit *a, const struct cert_list *in_use)
{
    static const char *const names[] = { "ca.next", "ca.old" };
    char dir[OS_PATH_MAX];

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (os_path(a->subject->settings->dir.p, names[i], dir, NULL) == OK)
            check_keys_in(a, dir, in_use);
}

static void check_ca_keys(struct audit *a, const struct cert_list *cas)
{
    AUTO(cert_list) struct cert_list in_use = { 0 };
    const struct settings *settings = a->subject->settings;
    char own[OS_PATH_MAX], dir[OS_PATH_MAX];

    for (size_t i = 0; i < cas->n; i++)
        if (cert_list_add(&in_use, cas->items[i]) != OK)
            return;
    add_certs(seen(a, settings->ssl_cert_file.path), &in_use);
    if (os_path(settings->dir.p, "ca", dir, NULL) != OK || os_path(dir, "ca.crt", own, NULL) != OK)
        return;
    if (os_exists(own))
        add_certs(own, &in_use);
    check_keys_in(a, dir, &in_use);
    check_rollover_keys(a, &in_use);
    check_keys_in(a, settings->dir.p, &in_use);
    check_ca_beside(a, seen(a, settings->ssl_cert_file.path), &in_use);
    const char *ca = settings->ssl_ca_file.path, *slash = ca ? strrchr(ca, '/') : NULL;
    if (!slash || slash == ca)
        return;
    const char *beside = arena_c(a->arena, str_of(ca, (size_t)(slash - ca)));
    if (beside && strcmp(beside, dir) != 0 && strcmp(beside, settings->dir.p) != 0)
        check_keys_in(a, beside, &in_use);
}

/* In a sticky directory others may add, but replace nothing. */
static void check_key_directory(struct audit *a)
{
    const char *key = a->subject->settings->ssl_key_file.path, *slash = key ? strrchr(key, '/') : NULL;
    struct stat st;

    if (!slash || slash == key)
        return;
    const char *dir = arena_c(a->arena, str_of(key, (size_t)(slash - key)));
    if (!dir || stat(dir, &st) != 0 || st.st_mode & S_ISVTX)
        return;
    if (st.st_mode & S_IWOTH || (st.st_mode & S_IWGRP && st.st_gid != 0))
        audit_add(a, CHECK_KEY_DIRECTORY_WRITABLE, str_c(dir), "its mode is %04o",
                  (unsigned)(st.st_mode & 07777));
}

void check_authorities(struct audit *a)
{
    AUTO(trust) struct trust all = { 0 };

    check_key_directory(a);
    for (size_t i = 0; subject_client_ca(a->subject, i); i++) {
        AUTO(trust) struct trust trust = { 0 };
        const char *file = seen(a, subject_client_ca(a->subject, i));
        if (!file || trust_load(file, &trust, NULL) != OK)
            continue;
        for (size_t k = 0; k < trust.certs.n; k++)
            check_ca_life(a, trust.certs.items[k], file);
        check_public(a, &trust.certs, file);
        check_shared(a, &trust.certs);
        (void)!trust_load(file, &all, NULL);
    }
    if (a->subject->dir.n > 0)
        check_ca_keys(a, &all.certs);
}
