/* Certificate revocation lists. */
#include "pki/crl.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pki/ossl.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { REMOVED_FROM_CRL = 2 }; /* X509_CRL_get0_by_cert: listed, but with reason removeFromCRL */

void crl_list_fini(struct crl_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        X509_CRL_free(list->items[i]);
    free(list->items);
    *list = (struct crl_list){ .n = 0 };
}

void crl_list_auto(struct crl_list *list)
{
    crl_list_fini(list);
}

static bool list_take(struct crl_list *list, X509_CRL *crl)
{
    size_t size;

    if (!size_mul(list->n + 1, sizeof(void *), &size))
        return false;
    X509_CRL **items = realloc(list->items, size);
    if (!items)
        return false;
    list->items = items;
    list->items[list->n++] = crl;
    return true;
}

enum code crl_list_add(struct crl_list *list, X509_CRL *crl)
{
    if (list->n >= CRL_LIST_MAX)
        return E_LIMIT;
    if (!X509_CRL_up_ref(crl))
        return E_INTERNAL;
    if (list_take(list, crl))
        return OK;
    X509_CRL_free(crl);
    return E_NOMEM;
}

enum code crl_to_pem(X509_CRL *crl, struct buf *out)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    if (!bio || !PEM_write_bio_X509_CRL(bio, crl)) {
        ERR_clear_error();
        return E_INTERNAL;
    }
    return buf_append(out, ossl_bio_bytes(bio)) ? OK : E_NOMEM;
}

static size_t count_revoked(X509_CRL *crl)
{
    int n = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl)); /* -1: no list */

    return n > 0 ? (size_t)n : 0;
}

static enum code describe_number(X509_CRL *crl, struct arena *arena, struct crl_info *info, struct err *e)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);

    info->number = str_c("");
    enum code code = number ? name_serial_decimal(number, arena, &info->number, e) : OK;
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    return code;
}

enum code crl_describe(X509_CRL *crl, struct arena *arena, struct crl_info *out, struct err *e)
{
    struct crl_info info = { .next_update_unix_s = INT64_MAX };
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);

    TRY(name_slash(X509_CRL_get_issuer(crl), arena, &info.issuer, e));
    TRY(describe_number(crl, arena, &info, e));
    if (ossl_time(X509_CRL_get0_lastUpdate(crl), &info.last_update_unix_s) != OK ||
        (next && ossl_time(next, &info.next_update_unix_s) != OK))
        return err_set(e, E_TLS, "certificate revocation list has a malformed time");
    info.n_revoked = count_revoked(crl);
    *out = info;
    return OK;
}

bool crl_signed_by(X509_CRL *crl, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool same = X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) == 0;
    bool yes = same && key && X509_CRL_verify(crl, key) == 1;

    ERR_clear_error();
    return yes;
}

static bool read_entry(X509_REVOKED *row, struct crl_entry *out)
{
    struct crl_entry entry = { .reason = -1 };

    entry.serial = X509_REVOKED_get0_serialNumber(row);
    if (ossl_time(X509_REVOKED_get0_revocationDate(row), &entry.revoked_unix_s) != OK)
        return false;
    ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(row, NID_crl_reason, NULL, NULL);
    if (reason) {
        long value = ASN1_ENUMERATED_get(reason);
        entry.reason = value >= 0 && value <= INT_MAX ? (int)value : -1;
    }
    ASN1_ENUMERATED_free(reason);
    ERR_clear_error();
    *out = entry;
    return true;
}

bool crl_entry_at(X509_CRL *crl, size_t index, struct crl_entry *out)
{
    return index < count_revoked(crl) &&
           read_entry(sk_X509_REVOKED_value(X509_CRL_get_REVOKED(crl), (int)index), out);
}

bool crl_entry_of(X509_CRL *crl, X509 *cert, struct crl_entry *out)
{
    X509_REVOKED *row = NULL;
    int found = X509_CRL_get0_by_cert(crl, &row, cert);

    ERR_clear_error();
    return found && row && read_entry(row, out);
}

bool crl_revokes(X509_CRL *crl, X509 *cert)
{
    X509_REVOKED *row = NULL;

    if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(cert)) != 0)
        return false;
    int found = X509_CRL_get0_by_cert(crl, &row, cert);
    ERR_clear_error();
    return found != 0 && found != REMOVED_FROM_CRL;
}
