/* Trust stores and revocation files, through the function that OpenSSL's own loader calls. */
#include "pki/trust.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/der.h"
#include "pki/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

void trust_fini(struct trust *trust)
{
    if (!trust)
        return;
    cert_list_fini(&trust->certs);
    crl_list_fini(&trust->crls);
}

void trust_auto(struct trust *trust)
{
    trust_fini(trust);
}

static void free_infos(STACK_OF(X509_INFO) * infos)
{
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
}

static enum code trust_take(const X509_INFO *info, struct trust *out)
{
    if (info->x509)
        TRY(cert_list_add(&out->certs, info->x509));
    return info->crl ? crl_list_add(&out->crls, info->crl) : OK;
}

/* An encrypted key beside the certificates asks nobody for its passphrase: it is not decrypted here. */
static int no_passphrase(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

enum code trust_from_pem(struct bytes pem, const char *file, struct trust *out, struct err *e)
{
    AUTO(bio) BIO *bio = ossl_bio_over(pem);
    char reason[OSSL_REASON_MAX];
    enum code code = OK;

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    ERR_clear_error();
    STACK_OF(X509_INFO) *infos = PEM_X509_INFO_read_bio(bio, NULL, no_passphrase, NULL);
    if (!infos)
        return err_set(e, E_CONFIG, "could not read file \"%s\": %s", file, ossl_reason(reason));
    for (int i = 0; code == OK && i < sk_X509_INFO_num(infos); i++)
        code = trust_take(sk_X509_INFO_value(infos, i), out);
    free_infos(infos);
    ERR_clear_error();
    if (code != OK)
        return err_set(e, code, "too many certificates or revocation lists in file \"%s\"", file);
    return OK;
}

enum code trust_load(const char *path, struct trust *out, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    size_t before = out->certs.n + out->crls.n;

    TRY(os_read_file(path, &pem, e));
    TRY(trust_from_pem(buf_bytes(&pem), path, out, e));
    if (out->certs.n + out->crls.n > before)
        return OK;
    (void)err_set(e, E_CONFIG, "file \"%s\" contains no certificate", path);
    der_hint(path, e);
    return E_CONFIG;
}

/* A file of a directory holds CRLs only. [src: X509_LOOKUP_hash_dir(3)] */
static enum code add_file(const char *path, struct crl_list *out)
{
    AUTO(bio) BIO *bio = BIO_new_file(path, "r");
    enum code code = OK;

    for (X509_CRL *crl; bio && code == OK && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL));) {
        code = crl_list_add(out, crl);
        X509_CRL_free(crl);
    }
    ERR_clear_error();
    return code;
}

enum code trust_add_dir(const char *dir, X509 *authority, struct crl_list *out, struct err *e)
{
    unsigned long hash = X509_NAME_hash_ex(X509_get_subject_name(authority), NULL, NULL, NULL);
    char name[64], path[OS_PATH_MAX];

    for (unsigned i = 0; i < CRL_LIST_MAX; i++) {
        (void)snprintf(name, sizeof name, "%08lx.r%u", hash, i);
        TRY(os_path(dir, name, path, e));
        if (!os_exists(path))
            return OK;
        enum code code = add_file(path, out);
        if (code != OK)
            return err_set(e, code, "too many revocation lists in directory \"%s\"", dir);
    }
    return OK;
}

/* ---- what is passed over ---- */

static bool is_expected(const char *kind)
{
    static const char *const kinds[] = { PEM_STRING_X509, PEM_STRING_X509_OLD, PEM_STRING_X509_TRUSTED,
                                         PEM_STRING_X509_CRL };
    struct str name = str_c(kind);

    return str_is_one_of(name, kinds, COUNT_OF(kinds)) || str_ends(name, STR("PRIVATE KEY")) ||
           str_ends(name, STR("PARAMETERS"));
}

enum code trust_skipped(struct bytes pem, const char *file, struct diags *diags, struct err *e)
{
    AUTO(bio) BIO *bio = ossl_bio_over(pem);
    char *kind, *header;
    unsigned char *data;
    long n;

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    for (unsigned number = 1; PEM_read_bio(bio, &kind, &header, &data, &n); number++) {
        if (!is_expected(kind))
            (void)diags_add(
                diags, SEV_WARNING, E_CONFIG, str_c(file), 0,
                "block %u in file \"%s\", \"%.64s\", is skipped: it is neither a certificate nor a revocation list",
                number, file, kind);
        OPENSSL_free(kind);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, n > 0 ? (size_t)n : 0);
    }
    ERR_clear_error();
    return OK;
}
