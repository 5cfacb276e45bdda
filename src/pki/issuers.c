/* From a certificate upwards. */
#include "pki/issuers.h"

#include "base/arena.h"

#include <openssl/x509.h>

X509 *issuer_find(X509 *cert, const struct cert_list *known)
{
    for (size_t i = 0; i < known->n; i++)
        if (X509_cmp(known->items[i], cert) != 0 && cert_issued_by(cert, known->items[i]))
            return known->items[i];
    return NULL;
}

enum code issuers_of(X509 *cert, const struct cert_list *known, struct arena *arena, struct str **out,
                     size_t *out_n, struct err *e)
{
    struct str *names = arena_array(arena, ISSUERS_MAX, sizeof *names);
    size_t n = 0;

    if (!names)
        return err_set(e, E_NOMEM, "out of memory");
    while (cert && n < ISSUERS_MAX && !cert_self_signed(cert)) {
        TRY(name_slash(X509_get_issuer_name(cert), arena, &names[n++], e));
        cert = issuer_find(cert, known);
    }
    *out = names;
    *out_n = n;
    return OK;
}

size_t cert_uses(const struct cert_info *info, struct str out[CERT_USES_MAX])
{
    size_t n = 0;

    if (info->is_ca)
        out[n++] = STR("ca");
    if (info->is_ca && (info->eku & CERT_EKU_ANY))
        return n;
    if (info->eku & (CERT_EKU_SERVER | CERT_EKU_ANY))
        out[n++] = STR("server");
    if (info->eku & (CERT_EKU_CLIENT | CERT_EKU_ANY))
        out[n++] = STR("client");
    if (info->eku & CERT_EKU_OTHER)
        out[n++] = STR("other");
    return n;
}
