/* Bundles of certificates in the formats that CAs publish them in. */
#include "pki/certfile.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>

enum { DER_SEQUENCE = 0x30 };

struct certfile {
    const char *file;
    unsigned block; /* 0: the file is no PEM */
    struct cert_list *out;
    struct err *e;
};

static enum code certfile_fail(const struct certfile *f, const char *what)
{
    char reason[OSSL_REASON_MAX];

    if (f->block == 0)
        return err_set(f->e, E_CONFIG, "could not read file \"%s\": %s", f->file,
                       what ? what : ossl_reason(reason));
    return err_set(f->e, E_CONFIG, "could not read block %u of file \"%s\": %s", f->block, f->file,
                   what ? what : ossl_reason(reason));
}

static enum code certfile_add(const struct certfile *f, X509 *cert)
{
    enum code code = cert_list_add(f->out, cert);

    if (code == E_LIMIT)
        return err_set(f->e, code, "file \"%s\" has more than %d certificates", f->file, CERT_LIST_MAX);
    return code == OK ? OK : err_set(f->e, code, "out of memory");
}

/* ---- one structure ---- */

static enum code add_certificate(const struct certfile *f, const unsigned char *der, long n, bool trusted)
{
    const unsigned char *at = der;
    AUTO(cert) X509 *cert = trusted ? d2i_X509_AUX(NULL, &at, n) : d2i_X509(NULL, &at, n);

    if (!cert)
        return certfile_fail(f, NULL);
    return at == der + n ? certfile_add(f, cert) : certfile_fail(f, "there are bytes after the certificate");
}

static enum code add_pkcs7(const struct certfile *f, const unsigned char *der, long n)
{
    const unsigned char *at = der;
    PKCS7 *p7 = d2i_PKCS7(NULL, &at, n);
    enum code code = OK;

    if (!p7)
        return certfile_fail(f, NULL);
    STACK_OF(X509) *certs = PKCS7_type_is_signed(p7) && p7->d.sign ? p7->d.sign->cert : NULL;
    if (at != der + n)
        code = certfile_fail(f, "there are bytes after the PKCS#7 structure");
    else if (sk_X509_num(certs) <= 0)
        code = certfile_fail(f, "the PKCS#7 structure contains no certificate");
    for (int i = 0; code == OK && i < sk_X509_num(certs); i++)
        code = certfile_add(f, sk_X509_value(certs, i));
    PKCS7_free(p7);
    return code;
}

/* ---- files ---- */

/* A file that is cut off within "-----BEGIN", or that has a mistake there, has blocks that OpenSSL takes for text. */
static bool is_whole(struct bytes pem, unsigned blocks)
{
    static const char begin[] = "-----BEGIN", end[] = "-----END";
    const uint8_t *at = pem.p, *last = pem.p, *limit = pem.p + pem.n;
    unsigned begun = 0;

    while ((at = memmem(at, (size_t)(limit - at), begin, sizeof begin - 1))) {
        begun++;
        at += sizeof begin - 1;
    }
    while ((at = memmem(last, (size_t)(limit - last), end, sizeof end - 1)))
        last = at + sizeof end - 1;
    last = memchr(last, '\n', (size_t)(limit - last));
    return begun == blocks && !(last && memmem(last, (size_t)(limit - last), "--", 2));
}

static enum code add_block(const struct certfile *f, struct str kind, const unsigned char *der, long n)
{
    if (str_is(kind, PEM_STRING_X509) || str_is(kind, PEM_STRING_X509_OLD))
        return add_certificate(f, der, n, false);
    if (str_is(kind, PEM_STRING_X509_TRUSTED))
        return add_certificate(f, der, n, true);
    if (str_is(kind, PEM_STRING_PKCS7) || str_is(kind, PEM_STRING_PKCS7_SIGNED))
        return add_pkcs7(f, der, n);
    return err_set(f->e, E_CONFIG, "block %u of file \"%s\" is \"%.*s\", not a certificate", f->block,
                   f->file, (int)(kind.n < 64 ? kind.n : 64), kind.p);
}

static enum code certfile_pem(struct certfile *f, struct bytes data)
{
    AUTO(bio) BIO *bio = ossl_bio_over(data);
    char *kind, *header;
    unsigned char *der;
    enum code code = OK;
    long n;

    if (!bio)
        return err_set(f->e, E_NOMEM, "out of memory");
    ERR_clear_error();
    for (f->block = 1; code == OK && PEM_read_bio(bio, &kind, &header, &der, &n); f->block++) {
        code = header[0] ? certfile_fail(f, "it is encrypted") : add_block(f, str_c(kind), der, n);
        OPENSSL_free(kind);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, n > 0 ? (size_t)n : 0);
    }
    TRY(code);
    if (!ossl_end_of_pem())
        return certfile_fail(f, NULL);
    return is_whole(data, f->block - 1) ? OK : certfile_fail(f, "it is cut off or malformed");
}

static enum code certfile_der(const struct certfile *f, struct bytes data)
{
    const unsigned char *at = data.p;
    X509 *cert = d2i_X509(NULL, &at, (long)data.n);

    ERR_clear_error();
    cert_free(cert);
    return cert ? add_certificate(f, data.p, (long)data.n, false) : add_pkcs7(f, data.p, (long)data.n);
}

enum code certfile_parse(struct bytes data, const char *file, struct cert_list *out, struct err *e)
{
    struct certfile f = { .file = file, .out = out, .e = e };
    size_t before = out->n;

    bool der = data.n > 0 && data.p[0] == DER_SEQUENCE;
    enum code code = der ? certfile_der(&f, data) : certfile_pem(&f, data);
    ERR_clear_error();
    TRY(code);
    return out->n > before ? OK : err_set(e, E_CONFIG, "file \"%s\" contains no certificate", file);
}

enum code certfile_load(const char *path, struct cert_list *out, struct err *e)
{
    AUTO(buf) struct buf data = BUF_INIT(OS_FILE_LIMIT);

    TRY(os_read_file(path, &data, e));
    return certfile_parse(buf_bytes(&data), path, out, e);
}
