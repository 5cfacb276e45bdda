/*
 * The certificate and revocation files that clients meet, as they are on disk now. What is served was loaded
 * earlier: where that is another certificate, it is a finding of its own.
 */
#include "audit/check_certs.h"

#include "audit/check_lists.h"
#include "audit/check_trust.h"
#include "audit/finding.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/conninfo.h"
#include "conf/files.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/cert.h"
#include "pki/chain.h"
#include "pki/expiry.h"
#include "pki/trust.h"

#include <inttypes.h>

enum { RSA_BITS_MIN = 2048, EC_BITS_MIN = 224, LIFE_DAYS_MAX = 398, DAY_S = 86400 };

/* One certificate of a file. */
struct subject {
    const char *file;
    struct cert_info info;
    enum part {
        PART_OTHER,  /* a CA's */
        PART_SERVER, /* the server's own */
        PART_CLIENT, /* shown to other servers */
        PART_SHOWN,  /* shown beside the server's own */
    } part;
};

static void about(struct audit *a, struct finding *f, struct str subject)
{
    if (f)
        f->about = audit_text(a, "%.*s %.*s", STR_ARG(f->where), STR_ARG(subject));
}

static void unreadable(struct audit *a, const char *file, const struct err *e)
{
    audit_add(a, CHECK_CERTIFICATE_UNREADABLE, str_c(file), "%s", err_text(e));
}

static void check_life(struct audit *a, const struct subject *s)
{
    struct expiry expiry = expiry_judge(s->info.not_before_unix_s, s->info.not_after_unix_s,
                                        a->subject->now_unix_s);
    char text[EXPIRY_DATE_SIZE];

    if (expiry.over)
        about(a,
              audit_add(a, CHECK_CERTIFICATE_EXPIRED, str_c(s->file), "\"%.*s\" expired at %s",
                        STR_ARG(s->info.subject), expiry_date(s->info.not_after_unix_s, text)),
              s->info.subject);
    else if (expiry.not_yet)
        about(a,
              audit_add(a, CHECK_CERTIFICATE_NOT_YET, str_c(s->file), "\"%.*s\" is not valid before %s",
                        STR_ARG(s->info.subject), expiry_date(s->info.not_before_unix_s, text)),
              s->info.subject);
    else if (expiry.status == EXPIRY_CRITICAL || (s->part != PART_OTHER && expiry.status == EXPIRY_WARNING))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_EXPIRING, str_c(s->file),
                        "\"%.*s\" expires in %" PRId64 " days, at %s: %.0f %% of its life is left",
                        STR_ARG(s->info.subject), expiry.days_left,
                        expiry_date(s->info.not_after_unix_s, text), expiry.life_left * 100),
              s->info.subject);
}

static bool is_weak_key(const struct cert_info *info)
{
    bool factoring = str_starts(info->key, STR("RSA")) || str_starts(info->key, STR("DSA"));

    return info->key_bits < (factoring ? RSA_BITS_MIN : EC_BITS_MIN);
}

static bool has_word(struct str text, struct str word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (str_equal_nocase(str_first(str_from(text, i), word.n), word))
            return true;
    return false;
}

/* A root's own signature proves nothing, so its digest does not matter. */
static bool is_weak_signature(const struct cert_info *info)
{
    return !info->self_signed &&
           (has_word(info->signature, STR("sha1")) || has_word(info->signature, STR("md5")));
}

static void check_strength(struct audit *a, const struct subject *s)
{
    if (is_weak_key(&s->info))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_WEAK_KEY, str_c(s->file), "the key of \"%.*s\" is %.*s",
                        STR_ARG(s->info.subject), STR_ARG(s->info.key)),
              s->info.subject);
    if (is_weak_signature(&s->info))
        about(a,
              audit_add(a, CHECK_CERTIFICATE_WEAK_SIGNATURE, str_c(s->file), "\"%.*s\" is signed with %.*s",
                        STR_ARG(s->info.subject), STR_ARG(s->info.signature)),
              s->info.subject);
}

static void check_leaf(struct audit *a, const struct subject *s)
{
    int64_t days = (s->info.not_after_unix_s - s->info.not_before_unix_s) / DAY_S;

    if (s->info.n_sans == 0)
        about(a,
              audit_add(a, CHECK_CERTIFICATE_WITHOUT_NAMES, str_c(s->file),
                        "\"%.*s\" has no subject alternative names, and most clients verify nothing else",
                        STR_ARG(s->info.subject)),
              s->info.subject);
    if (s->info.self_signed)
        about(
            a,
            audit_add(
                a, CHECK_CERTIFICATE_SELF_SIGNED, str_c(s->file),
                "clients can verify \"%.*s\" only with a copy of it, and need the next one before it is used",
                STR_ARG(s->info.subject)),
            s->info.subject);
    if (days > LIFE_DAYS_MAX)
        about(a,
              audit_add(a, CHECK_CERTIFICATE_LONG_LIFE, str_c(s->file),
                        "\"%.*s\" is valid for %" PRId64 " days", STR_ARG(s->info.subject), days),
              s->info.subject);
}

static void check_all(struct audit *a, const struct subject *s)
{
    struct audit_certificate shown = { .file = str_c(s->file),
                                       .subject = s->info.subject,
                                       .not_before_unix_s = s->info.not_before_unix_s,
                                       .not_after_unix_s = s->info.not_after_unix_s,
                                       .leaf = s->part == PART_SERVER,
                                       .held = s->part == PART_SERVER || s->part == PART_CLIENT };

    memcpy(shown.certificate, s->info.sha256, sizeof shown.certificate);
    memcpy(shown.key, s->info.key_sha256, sizeof shown.key);
    audit_show_certificate(a, shown);
    check_life(a, s);
    check_strength(a, s);
    if (s->part == PART_SERVER)
        check_leaf(a, s);
}

static void check_cert(struct audit *a, X509 *cert, const char *file, enum part part)
{
    struct subject s = { .file = file, .part = part };
    struct err e;

    if (cert_describe(cert, a->arena, &s.info, &e) != OK) {
        unreadable(a, file, &e);
        return;
    }
    check_all(a, &s);
}

void check_certificates_of_client(struct audit *a, const struct cert_list *chain, const char *file)
{
    for (size_t i = 0; i < chain->n; i++)
        check_cert(a, chain->items[i], file, i == 0 ? PART_CLIENT : PART_OTHER);
}

void check_certificate_seen(struct audit *a, const struct cert_info *info, struct str where, bool leaf)
{
    struct subject s = { .file = arena_c(a->arena, where),
                         .info = *info,
                         .part = leaf ? PART_SERVER : PART_OTHER };

    if (s.file)
        check_all(a, &s);
    else
        a->nomem = true;
}

/* ---- the server's file ---- */

static void check_served(struct audit *a, X509 *leaf, const char *file)
{
    AUTO(buf) struct buf der = BUF_INIT(OS_FILE_LIMIT);

    if (a->subject->served.n == 0 || cert_to_der(leaf, &der) != OK)
        return;
    if (!bytes_equal(buf_bytes(&der), a->subject->served))
        audit_add(a, CHECK_CERTIFICATE_NOT_SERVED, str_c(file), "clients still get the previous certificate");
}

static void add_anchors(const char *path, struct cert_list *anchors)
{
    AUTO(trust) struct trust found = { 0 };
    struct err ignored;

    if (!path || trust_load(path, &found, &ignored) != OK)
        return;
    for (size_t i = 0; i < found.certs.n; i++)
        if (cert_list_add(anchors, found.certs.items[i]) != OK)
            return;
}

/* Only what is known: a root that is not at hand here may well be with the clients. */
static void tell_incomplete(struct audit *a, const struct chain_path *path, const struct cert_list *chain,
                            const char *file)
{
    struct chain_report report;
    struct err e;

    if (path->end != PATH_MISSING || !path->missing_intermediate ||
        chain_incomplete(path, a->arena, &report, &e) != OK)
        return;
    /* OpenSSL completes a lone certificate from what it believes in. [src: SSL_CTX_set_mode(3),
     * SSL_MODE_NO_AUTO_CHAIN] */
    audit_add(a, CHECK_CERTIFICATE_CHAIN, str_c(file),
              "\"%.*s\" was issued by \"%.*s\", which is not in the file: %s", STR_ARG(report.subject),
              STR_ARG(report.missing),
              chain->n == 1 ? "clients get it only as long as it is in ssl_ca_file"
                            : "clients that know only the root refuse it");
}

/* The path that clients find in the file. False: there is none to be had. */
static bool check_chain(struct audit *a, const struct cert_list *chain, const char *file,
                        struct chain_path *out)
{
    AUTO(cert_list) struct cert_list anchors = { 0 };
    AUTO(cert_list) struct cert_list store = { 0 };
    const struct settings *settings = a->subject->settings;
    char own_ca[OS_PATH_MAX];
    struct err e;

    for (size_t i = 0; subject_client_ca(a->subject, i); i++)
        if (!subject_is_unseen(a->subject, subject_client_ca(a->subject, i)))
            add_anchors(subject_client_ca(a->subject, i), &anchors);
    if (os_path(settings->dir.p, "ca/ca.crt", own_ca, &e) == OK)
        add_anchors(own_ca, &anchors);
    add_anchors(settings->ssl_chain_root_file.path, &store);
    const struct chain_params params = { .chain = chain,
                                         .anchors = &anchors,
                                         .system = true,
                                         .now_unix_s = a->subject->now_unix_s,
                                         .store = &store };
    if (chain_path(&params, a->arena, out, &e) != OK)
        return false;
    tell_incomplete(a, out, chain, file);
    return true;
}

static void check_server_file(struct audit *a, const char *file)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    struct chain_path path;
    struct err e;

    if (!file || subject_is_unseen(a->subject, file))
        return;
    if (cert_chain_load(file, &chain, &e) != OK) {
        unreadable(a, file, &e);
        return;
    }
    check_served(a, chain.items[0], file);
    bool known = check_chain(a, &chain, file, &path);
    for (size_t i = 0; i < chain.n; i++) /* what is on no path of clients disturbs nobody */
        if (!known || path.used[i])
            check_cert(a, chain.items[i], file, i == 0 ? PART_SERVER : PART_OTHER);
    check_chain_shape(a, &chain, known ? path.used : NULL, file);
}

/* OpenSSL takes CAs and revocation lists from either file. */
static void check_trust(struct audit *a, const char *file)
{
    AUTO(trust) struct trust trust = { 0 };
    struct err e;

    if (!file || subject_is_unseen(a->subject, file))
        return;
    if (trust_load(file, &trust, &e) != OK)
        unreadable(a, file, &e);
    for (size_t i = 0; i < trust.certs.n; i++)
        check_cert(a, trust.certs.items[i], file, PART_OTHER);
}

static bool is_valid(const struct audit *a, const struct cert_info *info)
{
    return info->not_before_unix_s <= a->subject->now_unix_s &&
           a->subject->now_unix_s <= info->not_after_unix_s;
}

/* A file of CAs by which the gate judges a server may be a collection: as long as one of them is valid, the
 * others are none of our business. */
static void check_roots(struct audit *a, const char *file)
{
    AUTO(trust) struct trust trust = { 0 };
    struct cert_info info, best;
    struct err e;
    size_t n = 0;

    if (trust_load(file, &trust, &e) != OK) {
        unreadable(a, file, &e);
        return;
    }
    for (size_t i = 0; i < trust.certs.n; i++) {
        if (cert_describe(trust.certs.items[i], a->arena, &info, NULL) != OK)
            continue;
        bool valid = is_valid(a, &info), was = n > 0 && is_valid(a, &best);
        if (n++ == 0 || (valid && !was) || (valid == was && info.not_after_unix_s > best.not_after_unix_s))
            best = info;
    }
    if (n > 0)
        check_life(a, &(struct subject){ .file = file, .info = best, .part = PART_OTHER });
}

static bool is_earlier_root(struct audit *a, size_t at, const char *file)
{
    for (size_t i = 0; i < at; i++) {
        const struct subject_connection *c = &a->subject->connections[i];
        const char *other = c->info ? audit_connection_file(a, c, c->info->options.v[CONN_SSLROOTCERT])
                                    : NULL;
        if (other && strcmp(other, file) == 0)
            return true;
    }
    return false;
}

static void check_upstream_roots(struct audit *a)
{
    for (size_t i = 0; i < a->subject->n_connections; i++) {
        const struct subject_connection *c = &a->subject->connections[i];
        if (c->purpose != PURPOSE_UPSTREAM || !c->info || c->info->sslmode < SSLMODE_REQUIRE ||
            str_is(c->info->options.v[CONN_SSLROOTCERT], "system"))
            continue;
        const char *file = audit_connection_file(a, c, c->info->options.v[CONN_SSLROOTCERT]);
        if (file && !is_earlier_root(a, i, file))
            check_roots(a, file);
    }
}

/* A chain that is shown beside the server's: over HTTP, or by trials. */
static void check_shown(struct audit *a, const char *file)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    struct err e;

    if (!file || subject_is_unseen(a->subject, file))
        return;
    if (cert_chain_load(file, &chain, &e) != OK)
        unreadable(a, file, &e);
    for (size_t i = 0; i < chain.n; i++)
        check_cert(a, chain.items[i], file, i == 0 ? PART_SHOWN : PART_OTHER);
}

/* Without http_cert_file HTTP has the pair of ssl_cert_file, whether or not clients get that. */
static void check_beside(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    bool served = settings->ssl && a->subject->n_hosts == 0;
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_listed(settings, i, &use, &path); i++) {
        bool over_http = use.reader == FILE_READER_HTTP;
        if (use.named || use.audit != FILE_NOT_AUDITED || !settings_reads(settings, use.reader))
            continue;
        if (over_http && !path && !served)
            path = settings->ssl_cert_file.path;
        check_shown(a, path);
    }
}

/* Does a line above name the same file? */
static bool is_earlier(const struct subject_host *hosts, size_t at)
{
    for (size_t i = 0; hosts[at].cert && i < at; i++)
        if (hosts[i].cert && strcmp(hosts[i].cert, hosts[at].cert) == 0)
            return true;
    return false;
}

void check_certificates(struct audit *a)
{
    const struct settings *settings = a->subject->settings;
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_listed(settings, i, &use, &path); i++)
        if (use.reader == FILE_READER_CHECK && settings_reads(settings, use.reader) && use.named)
            check_trust(a, path);
    check_beside(a);
    check_upstream_roots(a);
    check_lists(a);
    if (!settings->ssl)
        return;
    if (a->subject->n_hosts == 0)
        check_server_file(a, settings->ssl_cert_file.path);
    for (size_t i = 0; i < a->subject->n_hosts; i++) /* these are served instead */
        if (!is_earlier(a->subject->hosts, i))
            check_server_file(a, a->subject->hosts[i].cert);
    for (size_t i = 0; a->subject->n_hosts > 0 && subject_client_ca(a->subject, i); i++)
        check_trust(a, subject_client_ca(a->subject, i));
    for (size_t i = 0; settings_file_listed(settings, i, &use, &path); i++)
        if (use.reader == FILE_READER_TLS && use.audit == FILE_AUDITED && use.named &&
            (a->subject->n_hosts == 0 || path != settings->ssl_ca_file.path))
            check_trust(a, path);
    check_authorities(a);
}
