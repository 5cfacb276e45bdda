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

enum { SANS_ARENA = 1 << 20 };

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_dns_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alpha(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] && strchr("-._*", s.p[i])))
            return false;
    return true;
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    return true;
}

static bool is_address(struct str s)
{
    size_t at = str_find(s, '@');

    return is_printable(s) && at > 0 && at + 1 < s.n && str_find(s, ':') == s.n && str_find(s, '/') == s.n &&
           str_find(str_from(s, at + 1), '@') == s.n - at - 1;
}

/* [src: RFC 3986, section 3.1] */
static bool is_uri(struct str s)
{
    size_t colon = str_find(s, ':');

    for (size_t i = 0; i < colon && i < s.n; i++)
        if (!is_alpha(s.p[i]) && (i == 0 || (!(s.p[i] >= '0' && s.p[i] <= '9') && !strchr("+-.", s.p[i]))))
            return false;
    return is_printable(s) && colon > 0 && colon + 1 < s.n;
}

static bool is_name(const struct san *san)
{
    struct str s = str_from_bytes(san->value);

    if (s.n == 0 || s.n > PEER_SAN_MAX)
        return false;
    switch (san->type) {
    case SAN_DNS:
        return is_dns_name(s);
    case SAN_EMAIL:
        return is_address(s);
    case SAN_URI:
        return is_uri(s);
    case SAN_IP:
    case SAN_OTHER:
        return false;
    }
    UNREACHABLE();
}

bool peer_san_counts(struct str name)
{
    for (enum san_type type = SAN_DNS; type <= SAN_OTHER; type++)
        if (is_name(&(struct san){ type, str_bytes(name) }))
            return true;
    return false;
}

enum code peer_cert_sans(X509 *cert, struct arena *arena, const struct str **out, size_t *out_n)
{
    AUTO(arena) struct arena scratch;
    struct str found[PEER_SANS_MAX], *kept;
    struct cert_names names;
    struct err ignored;
    size_t n = 0;

    *out = NULL;
    *out_n = 0;
    arena_init(&scratch, SANS_ARENA, 1024);
    if (X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0)
        return OK;
    enum code code = cert_names_of(cert, &scratch, &names, &ignored);
    if (code != OK)
        return code == E_NOMEM ? code : OK;
    for (size_t i = 0; i < names.n_sans && n < PEER_SANS_MAX; i++)
        if (is_name(&names.sans[i]))
            found[n++] = str_from_bytes(names.sans[i].value);
    kept = arena_array(arena, n, sizeof *kept);
    for (size_t i = 0; kept && i < n; i++)
        if (!arena_str(arena, found[i], &kept[i]))
            return E_NOMEM;
    *out = kept;
    *out_n = n;
    return kept ? OK : E_NOMEM;
}

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
    if (peer_cert_sans(cert, arena, &p.sans, &p.n_sans) != OK)
        return err_set(e, E_NOMEM, "out of memory");
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
