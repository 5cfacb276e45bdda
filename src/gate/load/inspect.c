/* Certificates and revocation lists under a magnifying glass. */
#include "gate/load/inspect.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "client/verify.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/chain.h"
#include "pki/crl.h"
#include "pki/expiry.h"

#include <dirent.h>
#include <inttypes.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { CRL_TEXT_MAX = 64 * 1024 * 1024 };

static const char *path_of(const struct settings_file *file)
{
    return file->path ? file->path : "";
}

/* ---- the server's certificate ---- */

/* What is served already, or is loaded at the start, is only warned about. */
static bool is_strict(const struct inspection *what, X509 *leaf)
{
    AUTO(buf) struct buf der = BUF_INIT(OS_FILE_LIMIT);

    if (what->running.n == 0 || what->settings->reload_policy != CONF_POLICY_STRICT)
        return false;
    return cert_to_der(leaf, &der) != OK || !bytes_equal(buf_bytes(&der), what->running);
}

static void add_anchors(const char *path, struct cert_list *anchors)
{
    AUTO(cert_list) struct cert_list found = { 0 };
    struct err ignored;

    if (!path[0] || cert_list_load(path, &found, &ignored) != OK)
        return;
    for (size_t i = 0; i < found.n; i++)
        if (cert_list_add(anchors, found.items[i]) != OK)
            return;
}

static void inspect_chain(const struct inspection *what, const struct cert_list *chain, bool strict,
                          struct diags *diags)
{
    AUTO(cert_list) struct cert_list anchors = { 0 };
    const char *file = path_of(&what->settings->ssl_cert_file);
    char own_ca[OS_PATH_MAX];
    struct chain_report report;
    struct err e;

    add_anchors(path_of(&what->settings->ssl_ca_file), &anchors);
    if (os_path(what->settings->dir.p, "ca/ca.crt", own_ca, &e) == OK)
        add_anchors(own_ca, &anchors);
    const struct chain_params params = { .chain = chain, .anchors = &anchors, .system = true };
    if (chain_check(&params, diags->arena, &report, &e) != OK)
        diags_add_err(diags, &e);
    else
        chain_diagnose(&report, file, strict, diags);
}

static void inspect_dates(const struct inspection *what, const struct cert_list *chain, bool strict,
                          struct diags *diags)
{
    const char *file = path_of(&what->settings->ssl_cert_file);
    enum severity severity = strict ? SEV_ERROR : SEV_WARNING;
    int64_t from, to;
    char text[EXPIRY_DATE_SIZE];
    struct err e;

    for (size_t i = 0; i < chain->n; i++) {
        if (cert_times(chain->items[i], &from, &to, &e) != OK)
            continue;
        struct expiry expiry = expiry_judge(from, to, what->now_unix_s);
        struct diag *row = NULL;
        if (expiry.over)
            row = diags_add(diags, severity, E_CONFIG, str_c(file), 0,
                            "certificate %zu in file \"%s\" has expired: it was valid until %s", i + 1, file,
                            expiry_date(to, text));
        else if (expiry.not_yet)
            row = diags_add(diags, severity, E_CONFIG, str_c(file), 0,
                            "certificate %zu in file \"%s\" is not valid before %s", i + 1, file,
                            expiry_date(from, text));
        else if (expiry.status == EXPIRY_CRITICAL || (i == 0 && expiry.status != EXPIRY_OK))
            row = diags_add(diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
                            "certificate %zu in file \"%s\" expires in %" PRId64 " days, at %s", i + 1, file,
                            expiry.days_left, expiry_date(to, text));
        diags_hint(diags, row, "%s",
                   expiry.not_yet ? "Compare the clocks: date -u."
                                  : "Renew it: pgseal cert renew, or ask the CA that issued it.");
    }
}

/* Does any name of `names` cover this one? */
static bool covers(const struct cert_names *names, const struct san *wanted)
{
    for (size_t i = 0; i < names->n_sans; i++) {
        if (names->sans[i].type != wanted->type)
            continue;
        if (bytes_equal(names->sans[i].value, wanted->value))
            return true;
        if (wanted->type == SAN_DNS &&
            verify_name_matches(str_from_bytes(names->sans[i].value), str_from_bytes(wanted->value)))
            return true;
    }
    return false;
}

static void inspect_names(const struct inspection *what, X509 *leaf, bool strict, struct diags *diags)
{
    AUTO(cert) X509 *running = NULL;
    struct arena *arena = diags->arena;
    const char *file = path_of(&what->settings->ssl_cert_file);
    struct cert_names before, after;
    struct str text;
    struct err e;

    if (what->running.n == 0 || cert_from_der(what->running, &running, &e) != OK ||
        cert_names_of(running, arena, &before, &e) != OK || cert_names_of(leaf, arena, &after, &e) != OK)
        return;
    for (size_t i = 0; i < before.n_sans; i++) {
        if (covers(&after, &before.sans[i]) || san_text(&before.sans[i], arena, &text, &e) != OK)
            continue;
        struct diag *row = diags_add(diags, strict ? SEV_ERROR : SEV_WARNING, E_CONFIG, str_c(file), 0,
                                     "certificate in file \"%s\" has lost the name %.*s", file,
                                     STR_ARG(text));
        diags_hint(diags, row, "Clients at verify-full that use this name will be refused.");
    }
}

void inspect_server(const struct inspection *what, struct diags *diags)
{
    AUTO(cert_list) struct cert_list chain = { 0 };
    struct err e;

    /* OpenSSL has read the file before: what we cannot read is of a kind that is not looked into. */
    if (cert_list_load(path_of(&what->settings->ssl_cert_file), &chain, &e) != OK)
        return;
    bool strict = is_strict(what, chain.items[0]);
    inspect_chain(what, &chain, strict, diags);
    inspect_dates(what, &chain, strict, diags);
    inspect_names(what, chain.items[0], strict, diags);
}

/* ---- the CAs of client certificates ---- */

/* Only the last tenth of its life is worth a word at each load: a CA lives for years. */
static void inspect_authority(const struct inspection *what, X509 *ca, struct str subject,
                              struct diags *diags)
{
    const char *file = path_of(&what->settings->ssl_ca_file);
    struct diag *row = NULL;
    char text[EXPIRY_DATE_SIZE];
    int64_t from, to;
    struct err e;

    if (cert_times(ca, &from, &to, &e) != OK)
        return;
    struct expiry expiry = expiry_judge(from, to, what->now_unix_s);
    if (expiry.over || expiry.not_yet)
        row = diags_add(diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
                        "the client CA \"%.*s\" %s %s: every certificate that it issued is refused",
                        STR_ARG(subject), expiry.over ? "has expired at" : "is not valid before",
                        expiry_date(expiry.over ? to : from, text));
    else if (expiry.status == EXPIRY_CRITICAL)
        row = diags_add(
            diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
            "the client CA \"%.*s\" expires in %" PRId64
            " days, at %s: then every certificate that it issued will be refused, even one that is "
            "valid longer",
            STR_ARG(subject), expiry.days_left, expiry_date(to, text));
    diags_hint(diags, row, "%s",
               expiry.not_yet
                   ? "Compare the clocks: date -u."
                   : "Sessions that run go on. Put the CA's new certificate beside the old one, and "
                     "give clients certificates of the new CA.");
}

/* The same CA is one with the same name and key: a renewed certificate of it verifies the old leaves. */
static bool has_authority(const struct cert_list *list, X509 *ca)
{
    for (size_t i = 0; i < list->n; i++)
        if (X509_NAME_cmp(X509_get_subject_name(list->items[i]), X509_get_subject_name(ca)) == 0 &&
            EVP_PKEY_eq(X509_get0_pubkey(list->items[i]), X509_get0_pubkey(ca)) == 1)
            return true;
    return false;
}

static void find_removed(const struct inspection *what, const struct cert_list *now, struct diags *diags)
{
    struct str subject;
    struct err e;

    for (size_t i = 0; what->running_cas && i < what->running_cas->n; i++) {
        X509 *ca = what->running_cas->items[i];
        if (has_authority(now, ca) || name_slash(X509_get_subject_name(ca), diags->arena, &subject, &e) != OK)
            continue;
        struct diag *row = diags_add(
            diags, SEV_WARNING, E_CONFIG, str_c(path_of(&what->settings->ssl_ca_file)), 0,
            "the client CA \"%.*s\" is no longer in ssl_ca_file: new connections with "
            "certificates of it are refused, sessions that run go on",
            STR_ARG(subject));
        diags_hint(diags, row,
                   "To end those too, use pg_terminate_backend() in the status database; or revoke the "
                   "certificates while the CA is still in the file.");
    }
}

void inspect_authorities(const struct inspection *what, struct cert_list *out, struct diags *diags)
{
    struct cert_list list = { 0 };
    struct str subject;
    struct err e;

    add_anchors(path_of(&what->settings->ssl_ca_file), &list);
    for (size_t i = 0; i < list.n; i++)
        if (name_slash(X509_get_subject_name(list.items[i]), diags->arena, &subject, &e) == OK)
            inspect_authority(what, list.items[i], subject, diags);
    find_removed(what, &list, diags);
    *out = list;
}

/* ---- revocation lists ---- */

/* HASH.rN, as `openssl rehash` names them. */
static bool is_crl_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    uint32_t number;

    return dot && dot[1] == 'r' && str_to_u32(str_c(dot + 2), 0, UINT32_MAX, &number);
}

static void read_dir(const char *dir, struct buf *out)
{
    char path[OS_PATH_MAX];
    struct dirent *entry;
    struct err e;
    DIR *d = opendir(dir);

    while (d && (entry = readdir(d)) != NULL)
        if (is_crl_name(entry->d_name) && os_path(dir, entry->d_name, path, &e) == OK &&
            os_read_file(path, out, &e) == OK)
            buf_append_c(out, "\n");
    if (d)
        (void)closedir(d);
}

static X509 *issuer_of(X509_CRL *crl, const struct cert_list *authorities, bool *out_named)
{
    *out_named = false;
    for (size_t i = 0; i < authorities->n; i++) {
        if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(authorities->items[i])) != 0)
            continue;
        *out_named = true;
        if (crl_signed_by(crl, authorities->items[i]))
            return authorities->items[i];
    }
    return NULL;
}

/* True: this list may be believed today. */
static bool judge_crl(const struct inspection *what, X509_CRL *crl, const struct cert_list *authorities,
                      struct diags *diags)
{
    struct crl_info info;
    char text[EXPIRY_DATE_SIZE];
    bool named;
    struct err e;

    if (crl_describe(crl, diags->arena, &info, &e) != OK)
        return false;
    if (!issuer_of(crl, authorities, &named)) {
        if (named)
            (void)diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                            "the revocation list of \"%.*s\" is not signed by that CA's key: every client "
                            "certificate of it will be refused",
                            STR_ARG(info.issuer));
        return false;
    }
    struct expiry expiry = expiry_judge(info.last_update_unix_s, info.next_update_unix_s, what->now_unix_s);
    if (expiry.over || expiry.not_yet) {
        (void)diags_add(
            diags, SEV_WARNING, E_CONFIG, STR(""), 0,
            "the revocation list of \"%.*s\" %s %s: every client certificate of that CA is refused",
            STR_ARG(info.issuer), expiry.over ? "has expired at" : "is not valid before",
            expiry_date(expiry.over ? info.next_update_unix_s : info.last_update_unix_s, text));
        return false;
    }
    if (expiry.status != EXPIRY_OK)
        (void)diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                        "the revocation list of \"%.*s\" expires in %" PRId64
                        " days, at %s: then every client certificate of that CA will be refused",
                        STR_ARG(info.issuer), expiry.days_left, expiry_date(info.next_update_unix_s, text));
    return true;
}

/* A root that issues nothing but intermediates needs a list too: PostgreSQL checks the whole chain. */
static void find_missing(const struct cert_list *authorities, const struct crl_list *lists,
                         struct diags *diags)
{
    struct str subject;
    struct err e;

    for (size_t i = 0; i < authorities->n; i++) {
        const X509_NAME *name = X509_get_subject_name(authorities->items[i]);
        bool found = false;
        for (size_t j = 0; j < lists->n; j++)
            found |= X509_NAME_cmp(X509_CRL_get_issuer(lists->items[j]), name) == 0;
        if (!found && name_slash(name, diags->arena, &subject, &e) == OK)
            (void)diags_add(diags, SEV_WARNING, E_CONFIG, STR(""), 0,
                            "there is no revocation list of \"%.*s\": every client certificate of that CA "
                            "will be refused",
                            STR_ARG(subject));
    }
}

void inspect_revocation(const struct inspection *what, struct crl_list *out, struct diags *diags)
{
    AUTO(cert_list) struct cert_list authorities = { 0 };
    AUTO(buf) struct buf pem = BUF_INIT(CRL_TEXT_MAX);
    const struct settings *settings = what->settings;
    struct crl_list lists = { 0 };
    struct err e;

    *out = (struct crl_list){ 0 };
    if (!settings->ssl_crl_file.path && !settings->ssl_crl_dir.path)
        return;
    add_anchors(path_of(&settings->ssl_ca_file), &authorities);
    if (settings->ssl_crl_file.path && os_read_file(settings->ssl_crl_file.path, &pem, &e) == OK)
        buf_append_c(&pem, "\n");
    if (settings->ssl_crl_dir.path)
        read_dir(settings->ssl_crl_dir.path, &pem);
    if (!buf_ok(&pem) || crl_list_from_pem(buf_bytes(&pem), "ssl_crl_file", &lists, &e) != OK)
        return;
    find_missing(&authorities, &lists, diags);
    size_t kept = 0;
    for (size_t i = 0; i < lists.n; i++) {
        X509_CRL *crl = lists.items[i];
        if (judge_crl(what, crl, &authorities, diags))
            lists.items[kept++] = crl;
        else
            X509_CRL_free(crl);
    }
    lists.n = kept;
    *out = lists;
}
