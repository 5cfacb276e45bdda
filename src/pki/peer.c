/* The client's certificate as a session remembers it. */
#include "pki/peer.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pki/cert.h"
#include "pki/name.h"
#include "pki/ossl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

enum code peer_cert_read(X509 *cert, struct arena *arena, struct peer_cert *out, struct err *e)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    struct peer_cert p = { 0 };
    struct name_value cn;
    int64_t not_before_s;

    TRY(name_cn(subject, arena, &cn, e));
    if (cn.has_nul)
        return err_set(e, E_PROTOCOL, "SSL certificate's common name contains embedded null");
    enum code code = name_rfc2253(subject, arena, &p.dn, e);
    if (code == E_AUTH)
        return err_set(e, E_PROTOCOL, "SSL certificate's distinguished name contains embedded null");
    TRY(code);
    TRY(name_slash(subject, arena, &p.slash, e));
    TRY(name_slash(X509_get_issuer_name(cert), arena, &p.issuer, e));
    TRY(name_serial_decimal(X509_get0_serialNumber(cert), arena, &p.serial, e));
    TRY(cert_times(cert, &not_before_s, &p.not_after_s, e));
    p.has_cn = cn.present;
    p.cn = cn.value;
    *out = p;
    return OK;
}

enum code peer_cert_names(X509 *cert, struct arena *arena, struct peer_names *out, struct err *e)
{
    TRY(name_attributes(X509_get_subject_name(cert), arena, &out->subject, &out->n_subject, e));
    return name_attributes(X509_get_issuer_name(cert), arena, &out->issuer, &out->n_issuer, e);
}

enum { OID_TEXT_MAX = 128, EXTENSION_TEXT_MAX = 64 * 1024 };

/* An extension that nobody can put into words: its bytes. */
static bool put_hex(const X509_EXTENSION *extension, struct arena *arena, struct str *out)
{
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data((X509_EXTENSION *)(uintptr_t)extension);
    AUTO(buf) struct buf text = BUF_INIT(EXTENSION_TEXT_MAX);
    const unsigned char *p = ASN1_STRING_get0_data(data);

    for (int i = 0; i < ASN1_STRING_length(data); i++)
        buf_printf(&text, "%02X", p[i]);
    return buf_ok(&text) && arena_str(arena, buf_str(&text), out);
}

static enum code read_extension(X509_EXTENSION *extension, struct arena *arena, struct peer_extension *out,
                                struct err *e)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
    int nid = OBJ_obj2nid(object);
    const char *name = nid == NID_undef ? NULL : OBJ_nid2sn(nid);
    char dotted[OID_TEXT_MAX] = "";

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    if (!name)
        (void)OBJ_obj2txt(dotted, sizeof dotted, object, 1);
    out->critical = X509_EXTENSION_get_critical(extension) == 1;
    bool worded = name && X509V3_EXT_print(bio, extension, 0, 0) > 0 &&
                  !str_has_nul(str_from_bytes(ossl_bio_bytes(bio)));
    bool ok = arena_str(arena, str_c(name ? name : dotted), &out->name);
    ok &= worded ? arena_str(arena, str_from_bytes(ossl_bio_bytes(bio)), &out->value)
                 : put_hex(extension, arena, &out->value);
    ERR_clear_error();
    return ok ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code peer_cert_extensions(X509 *cert, struct arena *arena, struct peer_extension **out, size_t *out_n,
                               struct err *e)
{
    int count = X509_get_ext_count(cert);
    size_t n = count < PEER_EXTENSIONS_MAX ? (size_t)count : PEER_EXTENSIONS_MAX;
    struct peer_extension *extensions = arena_array(arena, n, sizeof *extensions);

    if (!extensions)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        TRY(read_extension(X509_get_ext(cert, (int)i), arena, &extensions[i], e));
    *out = extensions;
    *out_n = n;
    return OK;
}
