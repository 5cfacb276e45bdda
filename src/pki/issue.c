/*
 * Certificates and CRLs as RFC 5280 wants them (openssl verify -x509_strict, certtool).
 *
 * Order matters in one place: the subject key identifier must be in the certificate before the authority key
 * identifier of a self-signed one is derived from it.
 */
#include "pki/issue.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/env.h"
#include "pki/ossl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum {
    DAY_S = 86400,
    SERIAL_BYTES = 16,
    X509_VERSION_THREE = 2, /* versions are encoded less one */
    CRL_VERSION_TWO = 1
};

static void crl_auto(X509_CRL **crl)
{
    X509_CRL_free(*crl);
}

/* The digest for a signature by this key; NULL where the algorithm brings its own. */
static const EVP_MD *digest_for(const EVP_PKEY *key)
{
    int type = EVP_PKEY_get_base_id(key);

    if (type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448)
        return NULL;
    return type == EVP_PKEY_EC && key_bits(key) > 256 ? EVP_sha384() : EVP_sha256();
}

static bool put_serial(ASN1_INTEGER *out, const struct env *env)
{
    uint8_t bytes[SERIAL_BYTES];

    if (!env_random(env, bytes, sizeof bytes))
        return false;
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    if (number && BN_is_zero(number)) /* must be positive */
        (void)BN_set_word(number, 1);
    bool ok = number && BN_to_ASN1_INTEGER(number, out);
    BN_free(number);
    return ok;
}

static bool put_times(X509 *cert, unsigned days, const struct issuer *issuer)
{
    int64_t now = env_now_s(issuer->env);
    int64_t from = now - CA_BACKDATE_S, to = now + (int64_t)days * DAY_S, ca_from, ca_to;

    if (issuer->cert && cert_times(issuer->cert, &ca_from, &ca_to, NULL) == OK) {
        from = from < ca_from ? ca_from : from;
        to = to > ca_to ? ca_to : to;
    }
    return ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)from) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)to);
}

static bool put_attribute(X509_NAME *name, int nid, struct str value)
{
    return value.n <= INT32_MAX && X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8,
                                                              (const uint8_t *)value.p, (int)value.n, -1, 0);
}

static enum code put_name(X509_NAME *name, struct str organization, struct str common_name, struct err *e)
{
    char reason[OSSL_REASON_MAX];

    ERR_clear_error();
    if (str_has_nul(organization) || str_has_nul(common_name))
        return err_set(e, E_PARAM, "a name in a certificate must not contain a null byte");
    if ((organization.n && !put_attribute(name, NID_organizationName, organization)) ||
        (common_name.n && !put_attribute(name, NID_commonName, common_name)))
        return err_set(e, E_PARAM, "not a valid name for a certificate: \"%.*s\" (%s)", STR_ARG(common_name),
                       ossl_reason(reason));
    return OK;
}

/* ---- extensions ---- */

struct draft {
    X509 *cert;
    X509 *issuer; /* the certificate itself when self-signed */
};

static bool put_ext(const struct draft *draft, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, draft->issuer, draft->cert, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = ext && X509_add_ext(draft->cert, ext, -1);
    X509_EXTENSION_free(ext);
    return ok;
}

static bool put_key_ids(const struct draft *draft)
{
    return put_ext(draft, NID_subject_key_identifier, "hash") &&
           put_ext(draft, NID_authority_key_identifier, "keyid:always");
}

static int general_type(enum san_type type)
{
    static const int types[] = { [SAN_DNS] = GEN_DNS,
                                 [SAN_IP] = GEN_IPADD,
                                 [SAN_URI] = GEN_URI,
                                 [SAN_EMAIL] = GEN_EMAIL,
                                 [SAN_OTHER] = -1 };

    return types[type];
}

/* NULL when out of memory or the type cannot be written. */
static GENERAL_NAME *general_name(enum san_type type, struct bytes value)
{
    int general = general_type(type);
    GENERAL_NAME *name = general < 0 || value.n > INT32_MAX ? NULL : GENERAL_NAME_new();
    ASN1_STRING *text = ASN1_STRING_type_new(type == SAN_IP ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

    if (!name || !text || !ASN1_STRING_set(text, value.p, (int)value.n)) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(text);
        return NULL;
    }
    GENERAL_NAME_set0_value(name, general, text);
    return name;
}

/* NULL when out of memory or a name cannot be written. */
static GENERAL_NAMES *general_names(const struct ca_request *request)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = names != NULL;

    for (size_t i = 0; ok && i < request->n_sans; i++) {
        GENERAL_NAME *name = general_name(request->sans[i].type, request->sans[i].value);
        ok = name && sk_GENERAL_NAME_push(names, name) > 0;
        if (!ok)
            GENERAL_NAME_free(name);
    }
    if (ok)
        return names;
    GENERAL_NAMES_free(names);
    return NULL;
}

static bool put_sans(X509 *cert, const struct ca_request *request)
{
    GENERAL_NAMES *names = general_names(request);
    bool critical = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0; /* RFC 5280, section 4.2.1.6 */
    bool ok = names &&
              X509_add1_ext_i2d(cert, NID_subject_alt_name, names, critical, X509V3_ADD_DEFAULT) == 1;

    GENERAL_NAMES_free(names);
    return ok;
}

static bool push_subtree(NAME_CONSTRAINTS *all, const struct ca_constraint *constraint)
{
    STACK_OF(GENERAL_SUBTREE) **list = constraint->excluded ? &all->excludedSubtrees
                                                            : &all->permittedSubtrees;
    GENERAL_SUBTREE *subtree = GENERAL_SUBTREE_new();
    GENERAL_NAME *base = general_name(constraint->type, constraint->value);

    if (!*list)
        *list = sk_GENERAL_SUBTREE_new_null();
    if (!*list || !subtree || !base || sk_GENERAL_SUBTREE_push(*list, subtree) <= 0) {
        GENERAL_NAME_free(base);
        GENERAL_SUBTREE_free(subtree);
        return false;
    }
    GENERAL_NAME_free(subtree->base);
    subtree->base = base;
    return true;
}

static bool put_constraints(X509 *cert, const struct ca_params *params)
{
    NAME_CONSTRAINTS *all = params->n_constraints ? NAME_CONSTRAINTS_new() : NULL;
    bool ok = all != NULL;

    if (params->n_constraints == 0)
        return true;
    for (size_t i = 0; ok && i < params->n_constraints; i++)
        ok = push_subtree(all, &params->constraints[i]);
    ok = ok && X509_add1_ext_i2d(cert, NID_name_constraints, all, 1, X509V3_ADD_DEFAULT) == 1;
    NAME_CONSTRAINTS_free(all);
    return ok;
}

static bool put_usage(const struct draft *draft, enum ca_use use)
{
    static const char *const extended[] = { [CA_USE_SERVER] = "serverAuth",
                                            [CA_USE_CLIENT] = "clientAuth",
                                            [CA_USE_BOTH] = "serverAuth,clientAuth" };
    /* A server's RSA key may also be asked to decrypt, by the key exchange of old TLS. */
    bool decrypts = use != CA_USE_CLIENT &&
                    EVP_PKEY_get_base_id(X509_get0_pubkey(draft->cert)) == EVP_PKEY_RSA;

    return put_ext(draft, NID_basic_constraints, "critical,CA:FALSE") &&
           put_ext(draft, NID_key_usage,
                   decrypts ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature") &&
           put_ext(draft, NID_ext_key_usage, extended[use]);
}

/* ---- certificates ---- */

static bool issue_begin(X509 *cert, EVP_PKEY *key, unsigned days, const struct issuer *issuer)
{
    return cert && X509_set_version(cert, X509_VERSION_THREE) &&
           put_serial(X509_get_serialNumber(cert), issuer->env) && put_times(cert, days, issuer) &&
           X509_set_pubkey(cert, key);
}

static bool issue_finish(const struct draft *draft, EVP_PKEY *key)
{
    return X509_set_issuer_name(draft->cert, X509_get_subject_name(draft->issuer)) && put_key_ids(draft) &&
           X509_sign(draft->cert, key, digest_for(key)) > 0;
}

enum code issue_ca(const struct ca_params *params, const struct issuer *self, X509 **out, struct err *e)
{
    AUTO(cert) X509 *cert = X509_new();
    struct draft draft = { cert, cert };
    char basic[64] = "critical,CA:TRUE";

    if (params->path_length >= 0)
        (void)snprintf(basic, sizeof basic, "critical,CA:TRUE,pathlen:%d", params->path_length);
    ERR_clear_error();
    if (!issue_begin(cert, self->key, params->days, self))
        return ossl_fail(e, "make CA certificate");
    TRY(put_name(X509_get_subject_name(cert), params->organization, params->common_name, e));
    if (!put_ext(&draft, NID_basic_constraints, basic) ||
        !put_ext(&draft, NID_key_usage, "critical,keyCertSign,cRLSign") || !put_constraints(cert, params) ||
        !issue_finish(&draft, self->key))
        return ossl_fail(e, "make CA certificate");
    *out = TAKE(cert);
    return OK;
}

enum code issue_leaf(const struct ca_request *request, EVP_PKEY *key, const struct issuer *issuer, X509 **out,
                     struct err *e)
{
    AUTO(cert) X509 *cert = X509_new();
    struct draft draft = { cert, issuer->cert ? issuer->cert : cert };

    ERR_clear_error();
    if (!issue_begin(cert, key, request->days, issuer))
        return ossl_fail(e, "make certificate");
    if (request->subject && !X509_set_subject_name(cert, request->subject))
        return ossl_fail(e, "make certificate");
    if (!request->subject)
        TRY(put_name(X509_get_subject_name(cert), request->organization, request->common_name, e));
    if (!put_usage(&draft, request->use) || (request->n_sans && !put_sans(cert, request)) ||
        !issue_finish(&draft, issuer->key))
        return ossl_fail(e, "make certificate");
    *out = TAKE(cert);
    return OK;
}

/* ---- signing requests ---- */

static bool put_request(X509_REQ *req, const struct ca_request *request, EVP_PKEY *key)
{
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    GENERAL_NAMES *names = request->n_sans ? general_names(request) : NULL;
    bool ok = (names != NULL) == (request->n_sans > 0);

    ok = ok &&
         (!names || X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1) &&
         (!extensions || X509_REQ_add_extensions(req, extensions)) && X509_REQ_set_pubkey(req, key) &&
         X509_REQ_sign(req, key, digest_for(key)) > 0;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(names);
    return ok;
}

enum code issue_request(const struct ca_request *request, EVP_PKEY *key, struct buf *out, struct err *e)
{
    X509_REQ *req = X509_REQ_new();
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    enum code code = OK;

    ERR_clear_error();
    if (!req || !bio || !X509_REQ_set_version(req, 0) ||
        (request->subject && !X509_REQ_set_subject_name(req, request->subject)))
        code = ossl_fail(e, "make signing request");
    if (code == OK && !request->subject)
        code = put_name(X509_REQ_get_subject_name(req), request->organization, request->common_name, e);
    if (code == OK && (!put_request(req, request, key) || !PEM_write_bio_X509_REQ(bio, req)))
        code = ossl_fail(e, "make signing request");
    X509_REQ_free(req);
    TRY(code);
    return buf_append(out, ossl_bio_bytes(bio)) ? OK : err_set(e, E_NOMEM, "out of memory");
}

/* ---- revocation lists ---- */

static bool put_reason(X509_REVOKED *row, enum ca_reason reason)
{
    if (reason == CA_REASON_UNSPECIFIED)
        return true; /* RFC 5280, section 5.3.1: then the extension should be absent */
    ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    bool ok = value && ASN1_ENUMERATED_set(value, (long)reason) &&
              X509_REVOKED_add1_ext_i2d(row, NID_crl_reason, value, 0, X509V3_ADD_DEFAULT) == 1;
    ASN1_ENUMERATED_free(value);
    return ok;
}

static bool put_serial_hex(X509_REVOKED *row, struct str serial_hex)
{
    char text[64];
    BIGNUM *number = NULL;
    bool ok = str_to_c(serial_hex, text, sizeof text) && BN_hex2bn(&number, text) > 0;
    ASN1_INTEGER *serial = ok ? BN_to_ASN1_INTEGER(number, NULL) : NULL;

    ok = serial && X509_REVOKED_set_serialNumber(row, serial);
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return ok;
}

static bool put_revoked(X509_CRL *crl, const struct ca_entry *entry)
{
    X509_REVOKED *row = X509_REVOKED_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)entry->revoked_unix_s);
    bool ok = row && when && X509_REVOKED_set_revocationDate(row, when) &&
              put_serial_hex(row, entry->serial_hex) && put_reason(row, entry->reason) &&
              X509_CRL_add0_revoked(crl, row);

    ASN1_TIME_free(when);
    if (!ok)
        X509_REVOKED_free(row);
    return ok;
}

static bool put_crl_head(X509_CRL *crl, const struct issue_crl *what, const struct issuer *issuer)
{
    int64_t now = env_now_s(issuer->env);
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)(now - CA_BACKDATE_S));
    ASN1_TIME *to = ASN1_TIME_set(NULL, (time_t)(now + (int64_t)what->days * DAY_S));
    bool ok = from && to && X509_CRL_set_version(crl, CRL_VERSION_TWO) &&
              X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert)) &&
              X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to);

    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return ok;
}

static bool put_crl_exts(X509_CRL *crl, uint64_t number, X509 *issuer)
{
    X509V3_CTX ctx;
    ASN1_INTEGER *value = ASN1_INTEGER_new();

    X509V3_set_ctx(&ctx, issuer, NULL, NULL, crl, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid:always");
    bool ok = ext && X509_CRL_add_ext(crl, ext, -1) && value && ASN1_INTEGER_set_uint64(value, number) &&
              X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, X509V3_ADD_DEFAULT) == 1;
    X509_EXTENSION_free(ext);
    ASN1_INTEGER_free(value);
    return ok;
}

enum code issue_crl(const struct issue_crl *what, const struct issuer *issuer, X509_CRL **out, struct err *e)
{
    AUTO(crl) X509_CRL *crl = X509_CRL_new();
    bool ok = crl && put_crl_head(crl, what, issuer) && put_crl_exts(crl, what->number, issuer->cert);

    ERR_clear_error();
    for (size_t i = 0; ok && i < what->n; i++)
        ok = what->entries[i].revoked_unix_s == 0 || put_revoked(crl, &what->entries[i]);
    if (!ok || !X509_CRL_sort(crl) || X509_CRL_sign(crl, issuer->key, digest_for(issuer->key)) <= 0)
        return ossl_fail(e, "make certificate revocation list");
    *out = TAKE(crl);
    return OK;
}
