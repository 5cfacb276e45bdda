/* DER instead of PEM: recognised by parsing it. */
#include "pki/der.h"

#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum der { DER_NONE, DER_CERTIFICATE, DER_CRL, DER_KEY };

static enum der what_is(struct bytes data)
{
    const unsigned char *p = data.p;
    X509 *cert = d2i_X509(NULL, &p, (long)data.n);

    p = data.p;
    X509_CRL *crl = cert ? NULL : d2i_X509_CRL(NULL, &p, (long)data.n);
    p = data.p;
    EVP_PKEY *key = cert || crl ? NULL : d2i_AutoPrivateKey(NULL, &p, (long)data.n);
    enum der what = cert ? DER_CERTIFICATE : crl ? DER_CRL : key ? DER_KEY : DER_NONE;
    X509_free(cert);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    return what;
}

void der_hint(const char *path, struct err *e)
{
    static const char *const commands[] = {
        [DER_NONE] = "", [DER_CERTIFICATE] = "x509", [DER_CRL] = "crl", [DER_KEY] = "pkey"
    };
    struct buf data = BUF_INIT(OS_FILE_LIMIT);
    struct err ignored;
    enum der what = DER_NONE;

    (void)ERR_set_mark();
    if (os_read_file(path, &data, &ignored) == OK && data.n > 0 && data.p[0] == 0x30)
        what = what_is(buf_bytes(&data));
    (void)ERR_pop_to_mark();
    buf_fini_secret(&data);
    if (what != DER_NONE)
        err_hint(e, "The file is DER, not PEM: openssl %s -inform der -in %s -out %s.pem", commands[what],
                 path, path);
}
