/* Certificates and revocation lists on disk. */
#include "monitor/files.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/chain.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { DIR_FILES_MAX = 1000 };

static enum code files_no_memory(struct err *e)
{
    return err_set(e, E_NOMEM, "out of memory");
}

/* What may not be read may be in the best of orders. */
static enum code add_unreadable(struct monitor_target *target, const char *kind, const char *path,
                                const struct err *why, struct err *e)
{
    enum monitor_status status = why->code == E_ACCESS ? MONITOR_UNKNOWN : MONITOR_CRITICAL;

    return monitor_add_fault(target, kind, str_c(path), status, err_text(why), e);
}

/* ---- files that settings name ---- */

static bool blame_use(struct monitor_target *target, struct monitor_row *leaf, enum monitor_role role)
{
    unsigned wanted = role == ROLE_SERVER ? CERT_EKU_SERVER : CERT_EKU_CLIENT;

    if (leaf->info.eku & (wanted | CERT_EKU_ANY))
        return true;
    return monitor_row_blame(leaf, &target->arena, MONITOR_CRITICAL,
                             role == ROLE_SERVER
                                 ? "is not for servers: its extended key usage lacks serverAuth"
                                 : "is not for clients: its extended key usage lacks clientAuth");
}

static enum code blame_order(struct monitor_target *target, struct monitor_row *leaf,
                             const struct cert_list *chain, struct err *e)
{
    struct chain_report report;

    TRY(chain_order(chain, &target->arena, &report, e));
    if (report.fault != CHAIN_OUT_OF_ORDER && report.fault != CHAIN_STRAY)
        return OK;
    bool ok = monitor_row_blame(
        leaf, &target->arena, MONITOR_WARNING, "certificate %zu in the file %s", report.index + 1,
        report.fault == CHAIN_STRAY ? "does not belong to the chain" : "is out of order");
    return ok ? OK : files_no_memory(e);
}

enum code monitor_add_chain(struct monitor_target *target, const struct monitor_file *file,
                            enum monitor_role role, struct monitor_row **out_leaf, struct err *e)
{
    AUTO(cert_list) struct cert_list list = { 0 };
    struct monitor_row *row;
    struct err why;

    *out_leaf = NULL;
    if (!file->path || !*file->path)
        return OK;
    if (cert_chain_load(file->path, &list, &why) != OK)
        return add_unreadable(target, file->kind, file->path, &why, e);
    for (size_t i = 0; i < list.n; i++) {
        TRY(monitor_add_cert(target, i == 0 ? file->kind : "chain", str_c(file->path), list.items[i], &row,
                             e));
        if (!row)
            continue;
        row->deployed = str_c(file->setting);
        if (i == 0)
            *out_leaf = row;
    }
    if (!*out_leaf)
        return OK;
    if (!blame_use(target, *out_leaf, role))
        return files_no_memory(e);
    return blame_order(target, *out_leaf, &list, e);
}

static enum code add_crls(struct monitor_target *target, const char *path, const char *setting,
                          const struct crl_list *list, struct err *e)
{
    struct monitor_row *row;

    for (size_t i = 0; i < list->n; i++) {
        TRY(monitor_add_crl(target, str_c(path), list->items[i], &row, e));
        if (row)
            row->deployed = str_c(setting);
    }
    return OK;
}

enum code monitor_add_trust(struct monitor_target *target, const struct monitor_file *file, struct err *e)
{
    AUTO(trust) struct trust trust = { 0 };
    struct monitor_row *row;
    struct err why;

    if (!file->path || !*file->path)
        return OK;
    if (trust_load(file->path, &trust, &why) != OK)
        return add_unreadable(target, file->kind, file->path, &why, e);
    for (size_t i = 0; i < trust.certs.n; i++) {
        TRY(monitor_add_cert(target, file->kind, str_c(file->path), trust.certs.items[i], &row, e));
        if (row)
            row->deployed = str_c(file->setting);
    }
    return add_crls(target, file->path, file->setting, &trust.crls, e);
}

/* ---- directories ---- */

/* The names of a directory's files, sorted; E_LIMIT beyond DIR_FILES_MAX. */
static enum code list_dir(struct monitor_target *target, const char *dir, bool (*wanted)(const char *name),
                          const char ***out, size_t *out_n, struct err *e)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort);
    const char **names = arena_array(&target->arena, DIR_FILES_MAX, sizeof *names);
    enum code code = names ? OK : files_no_memory(e);

    *out_n = 0;
    if (n < 0)
        return err_set(e, E_IO, "could not open directory \"%s\": %m", dir);
    for (int i = 0; i < n; i++) {
        if (code == OK && wanted(entries[i]->d_name)) {
            if (*out_n == DIR_FILES_MAX)
                code = err_set(e, E_LIMIT, "more than %d files in directory \"%s\"", DIR_FILES_MAX, dir);
            else if (!(names[(*out_n)++] = arena_c(&target->arena, str_c(entries[i]->d_name))))
                code = files_no_memory(e);
        }
        free(entries[i]);
    }
    free(entries);
    *out = names;
    return code;
}

/* HASH.r0 and its like. [src: openssl-rehash(1)] */
static bool is_hashed_list(const char *name)
{
    struct str s = str_c(name);

    return s.n > 10 && s.p[8] == '.' && s.p[9] == 'r';
}

enum code monitor_add_crl_dir(struct monitor_target *target, const struct monitor_file *dir, struct err *e)
{
    const char **names;
    char path[OS_PATH_MAX];
    struct err why;
    size_t n;

    if (!dir->path || !*dir->path)
        return OK;
    if (list_dir(target, dir->path, is_hashed_list, &names, &n, &why) != OK)
        return add_unreadable(target, "crl", dir->path, &why, e);
    for (size_t i = 0; i < n; i++) {
        AUTO(trust) struct trust trust = { 0 };
        TRY(os_path(dir->path, names[i], path, e));
        if (trust_load(path, &trust, &why) != OK)
            TRY(add_unreadable(target, "crl", path, &why, e));
        else
            TRY(add_crls(target, path, dir->setting, &trust.crls, e));
    }
    return OK;
}

/* ---- targets ---- */

static enum code add_found(struct monitor_target *target, const char *path, const struct trust *found,
                           struct err *e)
{
    struct monitor_row *row;

    for (size_t i = 0; i < found->certs.n; i++) {
        TRY(monitor_add_cert(target, "certificate", str_c(path), found->certs.items[i], &row, e));
        if (row && row->info.is_ca)
            row->kind = "ca";
    }
    return add_crls(target, path, "", &found->crls, e);
}

/* One certificate or list in DER. */
static bool from_der(struct bytes der, struct trust *out)
{
    const unsigned char *p = der.p;
    X509 *cert = NULL;
    struct err ignored;
    bool ok;

    if (cert_from_der(der, &cert, &ignored) == OK) {
        ok = cert_list_add(&out->certs, cert) == OK;
        cert_free(cert);
        return ok;
    }
    X509_CRL *crl = der.n <= OS_FILE_LIMIT ? d2i_X509_CRL(NULL, &p, (long)der.n) : NULL;
    ERR_clear_error();
    ok = crl && p == der.p + der.n && crl_list_add(&out->crls, crl) == OK;
    X509_CRL_free(crl);
    return ok;
}

enum code monitor_add_file(struct monitor_target *target, const char *path, struct err *e)
{
    AUTO(trust) struct trust found = { 0 };
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    struct err why;
    enum code code = os_read_file(path, &text, &why);

    if (code == OK && (text.n == 0 || text.p[0] != 0x30 || !from_der(buf_bytes(&text), &found)))
        code = trust_from_pem(buf_bytes(&text), path, &found, &why);
    if (code == E_NOMEM)
        return files_no_memory(e);
    if (code != OK)
        return add_unreadable(target, "certificate", path, &why, e);
    if (found.certs.n + found.crls.n == 0)
        return monitor_add_fault(target, "certificate", str_c(path), MONITOR_CRITICAL,
                                 "no certificate or revocation list in the file", e);
    return add_found(target, path, &found, e);
}

static bool is_certificate_name(const char *name)
{
    struct str s = str_c(name);

    return s.n > 0 && s.p[0] != '.' &&
           (str_ends(s, STR(".crt")) || str_ends(s, STR(".cer")) || str_ends(s, STR(".crl")) ||
            str_ends(s, STR(".pem")));
}

/* Keys and parameters are called *.pem, too. */
static bool holds_any(const char *path)
{
    AUTO(buf) struct buf text = BUF_INIT(OS_FILE_LIMIT);
    struct err ignored;

    if (os_read_file(path, &text, &ignored) != OK)
        return ignored.code != E_ACCESS;
    return memmem(text.p, text.n, "CERTIFICATE-----", 16) || memmem(text.p, text.n, "X509 CRL-----", 13);
}

enum code monitor_add_dir(struct monitor_target *target, const char *dir, struct err *e)
{
    const char **names;
    char path[OS_PATH_MAX];
    struct err why;
    size_t n;

    if (list_dir(target, dir, is_certificate_name, &names, &n, &why) != OK)
        return add_unreadable(target, "certificate", dir, &why, e);
    for (size_t i = 0; i < n; i++) {
        TRY(os_path(dir, names[i], path, e));
        if (!str_ends(str_c(names[i]), STR(".pem")) || holds_any(path))
            TRY(monitor_add_file(target, path, e));
    }
    if (target->n_rows == 0)
        return monitor_add_fault(target, "certificate", str_c(dir), MONITOR_UNKNOWN,
                                 "no certificate in the directory, which is neither a gate's nor a server's",
                                 e);
    return OK;
}
