/* Certificates: reading lists of them, describing one, and its channel-binding hash. */
#include "pki/cert.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "os/files.h"
#include "pki/der.h"
#include "pki/ossl.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- lists ---- */

void cert_list_fini(struct cert_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        X509_free(list->items[i]);
    free(list->items);
    *list = (struct cert_list){ .n = 0 };
}

void cert_list_auto(struct cert_list *list)
{
    cert_list_fini(list);
}

static struct cert_list list_give(struct cert_list *list)
{
    struct cert_list given = *list;

    *list = (struct cert_list){ .n = 0 };
    return given;
}

/* The list owns `cert` afterwards, if it succeeds. */
static bool list_take(struct cert_list *list, X509 *cert)
{
    size_t size;

    if (!size_mul(list->n + 1, sizeof(void *), &size))
        return false;
    X509 **items = realloc(list->items, size);
    if (!items)
        return false;
    list->items = items;
    list->items[list->n++] = cert;
    return true;
}

enum code cert_list_add(struct cert_list *list, X509 *cert)
{
    if (list->n >= CERT_LIST_MAX)
        return E_LIMIT;
    if (!X509_up_ref(cert))
        return E_INTERNAL;
    if (list_take(list, cert))
        return OK;
    X509_free(cert);
    return E_NOMEM;
}

bool cert_list_has(const struct cert_list *list, X509 *cert)
{
    for (size_t i = 0; i < list->n; i++)
        if (X509_cmp(list->items[i], cert) == 0)
            return true;
    return false;
}

static X509 *next_of_chain(BIO *bio, const struct cert_list *list)
{
    return list->n == 0 ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)
                        : PEM_read_bio_X509(bio, NULL, NULL, NULL);
}

enum code cert_chain_from_pem(struct bytes pem, const char *file, struct cert_list *out, struct err *e)
{
    AUTO(bio) BIO *bio = ossl_bio_over(pem);
    AUTO(cert_list) struct cert_list list = { .n = 0 };
    char reason[OSSL_REASON_MAX];

    if (!bio)
        return err_set(e, E_NOMEM, "out of memory");
    ERR_clear_error();
    for (X509 *cert; (cert = next_of_chain(bio, &list));) {
        bool full = list.n >= CERT_LIST_MAX;
        if (!full && list_take(&list, cert))
            continue;
        X509_free(cert);
        return err_set(e, full ? E_LIMIT : E_NOMEM, "too many certificates in file \"%s\"", file);
    }
    if (!ossl_end_of_pem())
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): AUTO() frees the list */
        return err_set(e, E_CONFIG, "could not read certificate %zu in file \"%s\": %s", list.n + 1, file,
                       ossl_reason(reason));
    ERR_clear_error();
    *out = list_give(&list);
    return OK;
}

enum code cert_chain_load(const char *path, struct cert_list *out, struct err *e)
{
    AUTO(buf) struct buf pem = BUF_INIT(OS_FILE_LIMIT);
    AUTO(cert_list) struct cert_list list = { .n = 0 };

    TRY(os_read_file(path, &pem, e));
    TRY(cert_chain_from_pem(buf_bytes(&pem), path, &list, e));
    if (list.n == 0) {
        (void)err_set(e, E_CONFIG, "file \"%s\" contains no certificate", path);
        der_hint(path, e);
        return E_CONFIG;
    }
    *out = list_give(&list);
    return OK;
}

enum code cert_from_der(struct bytes der, X509 **out, struct err *e)
{
    const uint8_t *p = der.p;
    char reason[OSSL_REASON_MAX];

    ERR_clear_error();
    X509 *cert = der.n > 0 && der.n <= LONG_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    if (!cert)
        return err_set(e, E_TLS, "could not read certificate: %s", ossl_reason(reason));
    if (p != der.p + der.n) {
        X509_free(cert);
        return err_set(e, E_TLS, "could not read certificate: trailing bytes");
    }
    *out = cert;
    return OK;
}

void cert_free(X509 *cert)
{
    X509_free(cert);
}

void cert_auto(X509 **cert)
{
    X509_free(*cert);
}

static enum code take_bio(bool written, BIO *bio, struct buf *out)
{
    if (!written) {
        ERR_clear_error();
        return E_INTERNAL;
    }
    return buf_append(out, ossl_bio_bytes(bio)) ? OK : E_NOMEM;
}

enum code cert_to_pem(X509 *cert, struct buf *out)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio && PEM_write_bio_X509(bio, cert), bio, out);
}

enum code cert_to_der(X509 *cert, struct buf *out)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());

    return take_bio(bio && i2d_X509_bio(bio, cert), bio, out);
}

/* ---- describing ---- */

bool cert_sha256(X509 *cert, uint8_t out[CERT_SHA256_SIZE])
{
    unsigned n = 0;

    return X509_digest(cert, EVP_sha256(), out, &n) && n == CERT_SHA256_SIZE;
}

void cert_sha256_text(const uint8_t sha256[CERT_SHA256_SIZE], char out[CERT_SHA256_TEXT])
{
    for (size_t i = 0; i < CERT_SHA256_SIZE; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned)sha256[i]);
}

enum code cert_times(X509 *cert, int64_t *out_not_before_s, int64_t *out_not_after_s, struct err *e)
{
    int64_t from, to;

    if (ossl_time(X509_get0_notBefore(cert), &from) != OK || ossl_time(X509_get0_notAfter(cert), &to) != OK)
        return err_set(e, E_TLS, "certificate has a malformed validity period");
    *out_not_before_s = from;
    *out_not_after_s = to;
    return OK;
}

static unsigned eku_of(X509 *cert)
{
    uint32_t xku = X509_get_extended_key_usage(cert);
    unsigned eku = 0;

    if (xku == UINT32_MAX || (xku & XKU_ANYEKU))
        return CERT_EKU_ANY;
    if (xku & XKU_SSL_SERVER)
        eku |= CERT_EKU_SERVER;
    if (xku & XKU_SSL_CLIENT)
        eku |= CERT_EKU_CLIENT;
    if (!eku || (xku & ~(uint32_t)(XKU_SSL_SERVER | XKU_SSL_CLIENT)))
        eku |= CERT_EKU_OTHER;
    return eku;
}

static enum code describe_names(X509 *cert, struct arena *arena, struct cert_info *info, struct err *e)
{
    struct cert_names names;

    TRY(name_slash(X509_get_subject_name(cert), arena, &info->subject, e));
    TRY(name_slash(X509_get_issuer_name(cert), arena, &info->issuer, e));
    TRY(name_serial_decimal(X509_get0_serialNumber(cert), arena, &info->serial, e));
    TRY(name_serial_hex(X509_get0_serialNumber(cert), arena, &info->serial_hex, e));
    TRY(cert_names_of(cert, arena, &names, e));
    info->sans = arena_array(arena, names.n_sans, sizeof *info->sans);
    if (!info->sans)
        return err_set(e, E_NOMEM, "out of memory");
    for (size_t i = 0; i < names.n_sans; i++)
        TRY(san_text(&names.sans[i], arena, &info->sans[i], e));
    info->n_sans = names.n_sans;
    return OK;
}

static enum code describe_key(X509 *cert, struct arena *arena, struct cert_info *info, struct err *e)
{
    const EVP_PKEY *key = X509_get0_pubkey(cert);
    char text[KEY_TEXT_MAX] = "unknown";
    const char *signature = OBJ_nid2ln(X509_get_signature_nid(cert));

    if (key) {
        key_text(key, text);
        info->key_bits = key_bits(key);
    }
    ERR_clear_error(); /* a key of an unknown type is no reason to show nothing */
    if (!arena_str(arena, str_c(text), &info->key) || !arena_str(arena, str_c(signature), &info->signature))
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

enum code cert_describe(X509 *cert, struct arena *arena, struct cert_info *out, struct err *e)
{
    struct cert_info info = { .path_length = -1 };

    TRY(describe_names(cert, arena, &info, e));
    TRY(describe_key(cert, arena, &info, e));
    TRY(cert_times(cert, &info.not_before_unix_s, &info.not_after_unix_s, e));
    if (!cert_sha256(cert, info.sha256))
        return ossl_fail(e, "compute the certificate's fingerprint");
    if (X509_pubkey_digest(cert, EVP_sha256(), info.key_sha256, NULL) != 1)
        return ossl_fail(e, "compute the fingerprint of the certificate's key");
    info.eku = eku_of(cert);
    info.is_ca = X509_check_ca(cert) != 0;
    info.self_signed = cert_self_signed(cert);
    long path_length = X509_get_pathlen(cert);
    info.path_length = path_length >= 0 && path_length <= INT_MAX ? (int)path_length : -1;
    ERR_clear_error();
    *out = info;
    return OK;
}

bool cert_issued_by(X509 *cert, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool issued = key && X509_check_issued(issuer, cert) == X509_V_OK && X509_verify(cert, key) == 1;

    ERR_clear_error();
    return issued;
}

bool cert_same_key(X509 *a, X509 *b)
{
    return X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0 &&
           EVP_PKEY_eq(X509_get0_pubkey(a), X509_get0_pubkey(b)) == 1;
}

bool cert_self_signed(X509 *cert)
{
    bool self = X509_self_signed(cert, 1) == 1;

    ERR_clear_error();
    return self;
}

/* ---- channel binding ---- */

enum code cert_end_point_hash(X509 *cert, uint8_t out[CERT_HASH_MAX], size_t *out_n, struct err *e)
{
    int digest_nid = NID_undef;
    unsigned n = 0;

    if (!X509_get_signature_info(cert, &digest_nid, NULL, NULL, NULL)) {
        ERR_clear_error();
        return err_set(e, E_INTERNAL, "could not determine server certificate signature algorithm");
    }
    if (digest_nid == NID_md5 || digest_nid == NID_sha1)
        digest_nid = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest_nid);
    if (!md) {
        ERR_clear_error();
        return err_set(e, E_UNSUPPORTED, "could not find digest for NID %s", OBJ_nid2sn(digest_nid));
    }
    CHECK(EVP_MD_get_size(md) > 0 && EVP_MD_get_size(md) <= CERT_HASH_MAX);
    if (!X509_digest(cert, md, out, &n))
        return ossl_fail(e, "generate hash of certificate");
    *out_n = n;
    return OK;
}
