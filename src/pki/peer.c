/* The client's certificate as a session remembers it. */
#include "pki/peer.h"

#include "pki/cert.h"
#include "pki/name.h"

#include <openssl/x509.h>

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
