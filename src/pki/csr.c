/* Certificate signing requests. Of what one asks for only names and use are taken. */
#include "pki/csr.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/cert.h"
#include "pki/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

void csr_fini(struct csr *csr)
{
    if (!csr)
        return;
    X509_REQ_free(csr->req);
    *csr = (struct csr){ .req = NULL };
}

void csr_auto(struct csr *csr)
{
    csr_fini(csr);
}

static void free_extensions(STACK_OF(X509_EXTENSION) * extensions)
{
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

static enum code read_sans(const STACK_OF(X509_EXTENSION) * extensions, struct arena *arena, struct csr *csr,
                           struct err *e)
{
    int critical = 0;
    GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, NULL);
    char reason[OSSL_REASON_MAX];

    if (!names && critical != -1) /* -1: no such extension */
        return err_set(e, E_CONFIG, "could not read the request's alternative names: %s",
                       ossl_reason(reason));
    enum code code = names ? cert_names_copy(names, arena, &csr->names, e) : OK;
    GENERAL_NAMES_free(names);
    for (size_t i = 0; code == OK && i < csr->names.n_sans; i++)
        if (csr->names.sans[i].type == SAN_OTHER)
            code = err_set(e, E_UNSUPPORTED, "the request has an alternative name of an unsupported type");
    return code;
}

static void read_usage(const STACK_OF(X509_EXTENSION) * extensions, struct csr *csr)
{
    EXTENDED_KEY_USAGE *uses = X509V3_get_d2i(extensions, NID_ext_key_usage, NULL, NULL);

    for (int i = 0; i < sk_ASN1_OBJECT_num(uses); i++) {
        int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(uses, i));
        csr->eku |= nid == NID_server_auth ? CERT_EKU_SERVER : nid == NID_client_auth ? CERT_EKU_CLIENT : 0;
    }
    EXTENDED_KEY_USAGE_free(uses);
}

static enum code read_request(struct csr *csr, const char *file, struct arena *arena, struct err *e)
{
    csr->key = X509_REQ_get0_pubkey(csr->req);
    csr->subject = X509_REQ_get_subject_name(csr->req);
    if (!csr->key || X509_REQ_verify(csr->req, csr->key) != 1)
        return err_set(e, E_PARAM, "the request in file \"%s\" is not signed by its own key", file);
    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(csr->req);
    enum code code = read_sans(extensions, arena, csr, e);
    if (code == OK)
        read_usage(extensions, csr);
    free_extensions(extensions);
    TRY(code);
    return name_cn(csr->subject, arena, &csr->names.cn, e);
}

enum code csr_from_pem(struct bytes pem, const char *file, struct arena *arena, struct csr *out,
                       struct err *e)
{
    AUTO(bio) BIO *bio = ossl_bio_over(pem);
    AUTO(csr) struct csr csr = { .req = NULL };
    char reason[OSSL_REASON_MAX];

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    ERR_clear_error();
    csr.req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    if (!csr.req && ossl_end_of_pem())
        return err_set(e, E_CONFIG, "file \"%s\" contains no certificate signing request", file);
    if (!csr.req)
        return err_set(e, E_CONFIG, "could not read the request in file \"%s\": %s", file,
                       ossl_reason(reason));
    enum code code = read_request(&csr, file, arena, e);
    ERR_clear_error();
    TRY(code);
    *out = csr;
    csr = (struct csr){ .req = NULL };
    return OK;
}

enum code csr_load(const char *path, struct arena *arena, struct csr *out, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);

    TRY(os_read_file(path, &pem, e));
    return csr_from_pem(buf_bytes(&pem), path, arena, out, e);
}
