/* Certificates and revocation lists under a magnifying glass. */
#include "gate/load/cert_check.h"

#include "base/arena.h"
#include "base/check.h"
#include "client/verify.h"
#include "conf/files.h"
#include "conf/settings.h"
#include "os/files.h"
#include "pki/chain.h"
#include "pki/expiry.h"
#include "pki/trust.h"

#include <inttypes.h>
#include <openssl/x509v3.h>

static const char *path_of(const struct settings_file *file)
{
    return file->path ? file->path : "";
}

static const char *cert_file_of(const struct inspection *what)
{
    return what->cert_file ? what->cert_file : path_of(&what->settings->ssl_cert_file);
}

/* The i-th file of CAs for client certificates; NULL behind the last. */
static const char *ca_file(const struct inspection *what, size_t i)
{
    if (what->ca_files)
        return i < what->n_ca_files ? what->ca_files[i] : NULL;
    return i == 0 ? path_of(&what->settings->ssl_ca_file) : NULL;
}

/* Where what is said about CAs belongs. */
static const char *ca_place(const struct inspection *what)
{
    return what->n_ca_files > 1 ? path_of(&what->settings->hosts_file)
           : ca_file(what, 0)   ? ca_file(what, 0)
                                : "";
}

/* ---- the server's certificate ---- */

static bool is_strict(const struct inspection *what)
{
    return what->running && what->settings->reload_policy == CONF_POLICY_STRICT;
}

/* Certificates that a file makes OpenSSL believe in, appended. */
static void add_authorities(const char *path, struct cert_list *list)
{
    AUTO(trust) struct trust found = { 0 };
    struct err ignored;

    if (!path[0] || trust_load(path, &found, &ignored) != OK)
        return;
    for (size_t i = 0; i < found.certs.n; i++)
        if (cert_list_add(list, found.certs.items[i]) != OK)
            return;
}

/* What clients may have, and what they find with it in the old chain and in the new one. */
struct chain_view {
    const struct inspection *what;
    const struct cert_list *chain;
    size_t n_file; /* certificates of ssl_cert_file; OpenSSL may complete a lone one from ssl_ca_file */
    const char *file;
    bool strict;
    struct cert_list anchors;
    struct trust roots;
    struct chain_path path;    /* in `chain` */
    struct chain_path running; /* in what->running, where that is not NULL and `path` has a fault */
    struct diags *diags;
};

static void chain_view_auto(struct chain_view *v)
{
    cert_list_fini(&v->anchors);
    trust_fini(&v->roots);
}

static enum code load_roots(struct chain_view *v, struct err *e)
{
    const struct settings *settings = v->what->settings;
    const char *root_file = path_of(&settings->ssl_chain_root_file);
    char own_ca[OS_PATH_MAX];
    struct err why;

    for (size_t i = 0; ca_file(v->what, i); i++)
        add_authorities(ca_file(v->what, i), &v->anchors);
    if (os_path(settings->dir.p, "ca/ca.crt", own_ca, &why) == OK)
        add_authorities(own_ca, &v->anchors);
    if (root_file[0] && trust_load(root_file, &v->roots, &why) != OK)
        return err_set(e, E_CONFIG, "could not load chain root file \"%s\": %s", root_file, err_text(&why));
    return OK;
}

static enum code find_path(const struct chain_view *v, const struct cert_list *chain, struct chain_path *out,
                           struct err *e)
{
    const struct chain_params params = { .chain = chain,
                                         .anchors = &v->anchors,
                                         .system = true,
                                         .now_unix_s = v->what->now_unix_s,
                                         .store = &v->roots.certs };

    return chain_path(&params, v->diags->arena, out, e);
}

/* The path ends in a self-signed certificate that came with the chain. Whether clients have it, only they
 * know; that it is another one than until now will not have escaped them. */
static void tell_other_root(const struct chain_view *v, struct err *e)
{
    struct str subject;

    if (name_slash(X509_get_subject_name(v->path.own), v->diags->arena, &subject, e) != OK)
        return;
    struct diag *row = diags_add(v->diags, v->strict ? SEV_ERROR : SEV_WARNING, E_CONFIG, str_c(v->file), 0,
                                 "certificate chain in file \"%s\" now ends in another root, \"%.*s\"",
                                 v->file, STR_ARG(subject));
    diags_hint(v->diags, row,
               "Clients that do not have it will refuse the server. When all clients have it, set "
               "ssl_chain_root_file to a file that contains it.");
}

static enum code tell_end(const struct chain_view *v, struct err *e)
{
    bool alike = v->what->running && chain_ends_alike(&v->path, &v->running);
    struct chain_report report;

    if (v->path.end == PATH_MISSING) {
        TRY(chain_incomplete(&v->path, v->diags->arena, &report, e));
        chain_diagnose(&report, v->file, v->strict && !alike, v->diags);
    } else if (v->path.end == PATH_OWN && v->what->running && !alike) {
        tell_other_root(v, e);
    } else if (v->path.detour) {
        (void)diags_add(
            v->diags, SEV_WARNING, E_CONFIG, str_c(v->file), 0,
            "certificates in file \"%s\" lead libpq's clients first to an issuer that they do not have: "
            "remove the certificates of that path",
            v->file);
    }
    if (v->path.error == 0)
        return OK;
    alike = v->what->running && v->running.error == v->path.error;
    (void)diags_add(v->diags, v->strict && !alike ? SEV_ERROR : SEV_WARNING, E_CONFIG, str_c(v->file), 0,
                    "clients refuse the certificate chain in file \"%s\": %s, at depth %zu", v->file,
                    chain_error_text(v->path.error), v->path.error_depth);
    return OK;
}

static void tell_order(const struct chain_view *v)
{
    struct cert_list in_file = { v->chain->items, v->n_file };
    struct chain_report report;
    struct err e;

    if (chain_order(&in_file, v->diags->arena, &report, &e) == OK)
        chain_diagnose(&report, v->file, false, v->diags);
}

/* What is served already refuses nothing, and what is on no path disturbs nobody. */
static void cert_check_date(const struct chain_view *v, size_t i)
{
    X509 *cert = v->chain->items[i];
    bool refuses = v->strict && v->path.used[i] &&
                   !(v->what->running && cert_list_has(v->what->running, cert));
    enum severity severity = refuses ? SEV_ERROR : SEV_WARNING;
    struct diag *row = NULL;
    int64_t from, to;
    char text[EXPIRY_DATE_SIZE];
    struct err e;

    if (cert_times(cert, &from, &to, &e) != OK)
        return;
    struct expiry expiry = expiry_judge(from, to, v->what->now_unix_s);
    if (expiry.over)
        row = diags_add(v->diags, severity, E_CONFIG, str_c(v->file), 0,
                        "certificate %zu in file \"%s\" expired at %s", i + 1, v->file,
                        expiry_date(to, text));
    else if (expiry.not_yet)
        row = diags_add(v->diags, severity, E_CONFIG, str_c(v->file), 0,
                        "certificate %zu in file \"%s\" is not valid before %s", i + 1, v->file,
                        expiry_date(from, text));
    else if (expiry.status == EXPIRY_CRITICAL || (i == 0 && expiry.status != EXPIRY_OK))
        row = diags_add(v->diags, SEV_WARNING, E_CONFIG, str_c(v->file), 0,
                        "certificate %zu in file \"%s\" expires in %" PRId64 " days, at %s", i + 1, v->file,
                        expiry.days_left, expiry_date(to, text));
    if (!v->path.used[i])
        diags_hint(v->diags, row, "Clients do not need it. Remove it from the file.");
    else
        diags_hint(v->diags, row, "%s",
                   expiry.not_yet ? "Compare the clocks: date -u."
                                  : "Renew it: pgseal cert renew, or ask the CA that issued it.");
}

static void cert_check_names(const struct inspection *what, X509 *leaf, struct diags *diags)
{
    struct arena *arena = diags->arena;
    const char *file = cert_file_of(what);
    struct cert_names before, after;
    struct str text;
    struct err e;

    if (!what->running || cert_names_of(what->running->items[0], arena, &before, &e) != OK ||
        cert_names_of(leaf, arena, &after, &e) != OK)
        return;
    for (size_t i = 0; i < before.n_sans; i++) {
        if (verify_names_match(&after, &before.sans[i]) || san_text(&before.sans[i], arena, &text, &e) != OK)
            continue;
        struct diag *row = diags_add(diags, is_strict(what) ? SEV_ERROR : SEV_WARNING, E_CONFIG, str_c(file),
                                     0, "certificate in file \"%s\" no longer has the name %.*s", file,
                                     STR_ARG(text));
        diags_hint(diags, row, "Clients at verify-full that use this name will be refused.");
    }
}

static enum code cert_check_chain(struct chain_view *v, struct err *e)
{
    TRY(load_roots(v, e));
    TRY(find_path(v, v->chain, &v->path, e));
    if (v->what->running && (v->path.end != PATH_ROOT || v->path.error))
        TRY(find_path(v, v->what->running, &v->running, e));
    tell_order(v);
    TRY(tell_end(v, e));
    for (size_t i = 0; i < v->n_file; i++)
        cert_check_date(v, i);
    return OK;
}

void cert_check_server(const struct inspection *what, struct diags *diags)
{
    AUTO(cert_list) struct cert_list in_file = { 0 };
    struct err e;
    AUTO(chain_view) struct chain_view v = { .what = what, .strict = is_strict(what), .diags = diags };

    v.file = cert_file_of(what);
    /* OpenSSL has read the file before: what we cannot read is of a kind that is not looked into. */
    if (cert_chain_load(v.file, &in_file, &e) != OK)
        return;
    v.chain = what->served && what->served->n > 0 ? what->served : &in_file;
    v.n_file = in_file.n < v.chain->n ? in_file.n : v.chain->n;
    if (cert_check_chain(&v, &e) != OK)
        diags_add_err(diags, &e);
    cert_check_names(what, v.chain->items[0], diags);
}

/* ---- the CAs of client certificates ---- */

/* Only the last sixth of its life is worth a word at each load: a CA lives for years. */
static void cert_check_authority(const struct inspection *what, X509 *ca, struct str subject,
                                 struct diags *diags)
{
    const char *file = ca_place(what);
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
                        STR_ARG(subject), expiry.over ? "expired at" : "is not valid before",
                        expiry_date(expiry.over ? to : from, text));
    else if (expiry.status == EXPIRY_CRITICAL)
        row = diags_add(
            diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
            "the client CA \"%.*s\" expires in %" PRId64
            " days, at %s: then every certificate that it issued will be refused, even one that is "
            "valid longer",
            STR_ARG(subject), expiry.days_left, expiry_date(to, text));
    diags_hint(
        diags, row, "%s",
        expiry.not_yet
            ? "Compare the clocks: date -u."
            : "Running sessions continue. Put the CA's new certificate beside the old one, and give clients "
              "certificates of the new CA.");
}

/* The same CA is one with the same name and key: a renewed certificate of it verifies the old leaves. */
static bool has_authority(const struct cert_list *list, X509 *ca)
{
    for (size_t i = 0; i < list->n; i++)
        if (cert_same_key(list->items[i], ca))
            return true;
    return false;
}

/* OpenSSL believes in certificates of ssl_crl_file, too. */
static void client_authorities(const struct inspection *what, struct cert_list *list)
{
    for (size_t i = 0; ca_file(what, i); i++)
        add_authorities(ca_file(what, i), list);
    add_authorities(path_of(&what->settings->ssl_crl_file), list);
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
            diags, SEV_WARNING, E_CONFIG, str_c(ca_place(what)), 0,
            "the client CA \"%.*s\" is no longer in ssl_ca_file: new connections with its certificates are "
            "refused, running sessions continue",
            STR_ARG(subject));
        diags_hint(diags, row,
                   "To end these, use pg_terminate_backend() in the status database; or revoke the "
                   "certificates while the CA is still in the file.");
    }
}

void cert_check_authorities(const struct inspection *what, struct cert_list *out, struct diags *diags)
{
    struct cert_list list = { 0 };
    struct str subject;
    struct err e;

    client_authorities(what, &list);
    for (size_t i = 0; i < list.n; i++)
        if (name_slash(X509_get_subject_name(list.items[i]), diags->arena, &subject, &e) == OK)
            cert_check_authority(what, list.items[i], subject, diags);
    find_removed(what, &list, diags);
    *out = list;
}

/* ---- revocation lists ---- */

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
            STR_ARG(info.issuer), expiry.over ? "expired at" : "is not valid before",
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

/* All lists that OpenSSL has or would find: those of ssl_ca_file count as well. */
static enum code load_lists(const struct inspection *what, const struct cert_list *authorities,
                            struct trust *out, struct err *e)
{
    const struct settings *settings = what->settings;
    const char *crl_file = path_of(&settings->ssl_crl_file);

    for (size_t i = 0; ca_file(what, i); i++)
        if (ca_file(what, i)[0])
            TRY(trust_load(ca_file(what, i), out, e));
    if (crl_file[0])
        TRY(trust_load(crl_file, out, e));
    for (size_t i = 0; settings->ssl_crl_dir.path && i < authorities->n; i++)
        TRY(trust_add_dir(settings->ssl_crl_dir.path, authorities->items[i], &out->crls, e));
    return OK;
}

void cert_check_revocation(const struct inspection *what, struct crl_list *out, struct diags *diags)
{
    AUTO(cert_list) struct cert_list authorities = { 0 };
    AUTO(trust) struct trust found = { 0 };
    struct crl_list lists;
    struct err e;

    *out = (struct crl_list){ 0 };
    if (!what->settings->ssl_crl_file.path && !what->settings->ssl_crl_dir.path)
        return;
    client_authorities(what, &authorities);
    if (load_lists(what, &authorities, &found, &e) != OK)
        return;
    lists = found.crls;
    found.crls = (struct crl_list){ 0 };
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

/* ---- mounts ---- */

void cert_check_mount(const char *path, struct diags *diags)
{
    if (!path[0] || !os_is_mounted_alone(path))
        return;
    struct diag *row = diags_add(diags, SEV_WARNING, E_CONFIG, str_c(path), 0,
                                 "\"%s\" is mounted by itself: when it is renewed, the old file stays here",
                                 path);
    diags_hint(diags, row, "Mount the whole Secret or directory, without subPath.");
}

void cert_check_mounts(const struct settings *settings, struct diags *diags)
{
    struct settings_file_use use;
    const char *path;

    for (size_t i = 0; settings_file_use(settings, i, &use, &path); i++)
        if (path)
            cert_check_mount(path, diags);
}
