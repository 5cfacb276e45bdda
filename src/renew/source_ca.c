/* Certificates of the own CA. */
#include "renew/source_ca.h"

#include "base/check.h"
#include "pki/passphrase.h"

/* The directory of the rule's CA. E_LIMIT. */
static enum code renew_ca_dir(const struct renew_order *order, char out[OS_PATH_MAX], struct err *e)
{
    struct str dir = order->rule->v[RENEW_SET_CA_DIRECTORY];

    return os_path(order->target->dir, dir.n > 0 ? dir.p : order->target->ca_dir, out, e);
}

enum ca_issuer { CA_ISSUER_SAME, CA_ISSUER_OTHER, CA_ISSUER_AWAY };

static enum code open_ca(const struct renew_order *order, enum ca_access access, struct ca **out,
                         struct err *e)
{
    struct str file = order->rule->v[RENEW_SET_CA_PASSPHRASE_FILE];
    struct passphrase_source source = { .file = file.n > 0 ? file.p : NULL, .what = "the CA's key" };
    struct key_passphrase passphrase = passphrase_for(&source);
    char dir[OS_PATH_MAX];

    TRY(renew_ca_dir(order, dir, e));
    return ca_open(&(struct ca_where){ dir, &passphrase, order->env }, access, out, e);
}

static enum ca_issuer look_at_ca(const struct renew_order *order)
{
    AUTO(ca) struct ca *ca = NULL;
    struct err ignored;

    if (open_ca(order, CA_READ, &ca, &ignored) != OK)
        return CA_ISSUER_AWAY;
    return cert_issued_by(order->old->items[0], ca_certificate(ca)) ? CA_ISSUER_SAME : CA_ISSUER_OTHER;
}

bool renew_ca_issued(const struct renew_order *order)
{
    return look_at_ca(order) == CA_ISSUER_SAME;
}

bool renew_ca_is_another(const struct renew_order *order)
{
    return look_at_ca(order) == CA_ISSUER_OTHER;
}

/* What follows the leaf: as until now where the CA is the same, else the CA itself where it is no root. */
static enum code add_rest(const struct renew_order *order, X509 *authority, struct cert_list *chain,
                          struct err *e)
{
    bool same = cert_issued_by(order->old->items[0], authority);
    enum code code = OK;

    for (size_t i = 1; code == OK && same && i < order->old->n; i++)
        code = cert_list_add(chain, order->old->items[i]);
    if (!same && !cert_self_signed(authority))
        code = cert_list_add(chain, authority);
    return code == OK ? OK : err_set(e, E_NOMEM, "out of memory");
}

enum code renew_from_ca(const struct renew_order *order, const struct leaf *leaf, struct cert_list *chain,
                        struct err *e)
{
    AUTO(ca) struct ca *ca = NULL;
    AUTO(cert) X509 *cert = NULL;
    struct ca_request request;
    char dir[OS_PATH_MAX];

    TRY(renew_request(order, &request, e));
    TRY(open_ca(order, CA_SIGN, &ca, e));
    TRY(ca_issue(ca, &request, leaf->key, &cert, e));
    if (cert_list_add(chain, cert) != OK)
        return err_set(e, E_NOMEM, "out of memory");
    TRY(add_rest(order, ca_certificate(ca), chain, e));
    TRY(renew_ca_dir(order, dir, e));
    return order->hooks->publish_crl(order->hooks->ctx, order->target, dir, ca, e);
}
