#include "tls/dh.h"

#include "tls/context_base.h"
#include "tls/diag.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <stdio.h>

/* [src: RFC 3526, section 3: the 2048-bit MODP group] */
static EVP_PKEY *built_in(OSSL_LIB_CTX *library)
{
    char name[] = "modp_2048";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(library, "DH", NULL);

    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEY_PARAMETERS, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Which of DH_check's complaints is in the error queue? */
static enum code check_failed_why(struct err *e)
{
    bool not_prime = false, seen = false;
    char reason[DIAG_REASON_MAX];
    unsigned long ecode, first = ERR_peek_error();

    while ((ecode = ERR_get_error()) != 0) {
        seen |= ERR_GET_LIB(ecode) == ERR_LIB_DH;
        not_prime |= ERR_GET_LIB(ecode) == ERR_LIB_DH && ERR_GET_REASON(ecode) == DH_R_CHECK_P_NOT_PRIME;
    }
    if (!seen)
        return err_set(e, E_CONFIG, "invalid DH parameters: %s", diag_reason(first, reason, sizeof reason));
    return err_set(e, E_CONFIG, "invalid DH parameters: %s",
                   not_prime ? "p is not prime" : "neither suitable generator or safe prime");
}

static enum code check(OSSL_LIB_CTX *library, EVP_PKEY *key, struct err *e)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(library, key, NULL);
    bool good = ctx && EVP_PKEY_param_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return good ? OK : check_failed_why(e);
}

static enum code from_file(OSSL_LIB_CTX *library, const char *file, EVP_PKEY **out, struct err *e)
{
    char reason[DIAG_REASON_MAX];
    FILE *f = fopen(file, "re");

    if (!f) {
        int why = errno;
        return err_set(e, code_from_errno(why), "could not open DH parameters file \"%s\": %s", file,
                       strerror(why));
    }
    BIO *bio = BIO_new_fp(f, BIO_CLOSE);
    EVP_PKEY *key = bio ? PEM_read_bio_Parameters_ex(bio, NULL, library, NULL) : NULL;
    if (bio)
        BIO_free(bio);
    else
        (void)fclose(f);
    if (!key)
        return err_set(e, E_CONFIG, "could not load DH parameters file: %s",
                       diag_first(reason, sizeof reason));
    enum code code = check(library, key, e);
    if (code != OK) {
        EVP_PKEY_free(key);
        return code;
    }
    *out = key;
    return OK;
}

enum code dh_set(struct tls_context *context, struct tls_library *library, const char *file, struct err *e)
{
    char reason[DIAG_REASON_MAX];
    EVP_PKEY *key = NULL;

    ERR_clear_error();
    if (file[0])
        TRY(from_file(library->ctx, file, &key, e));
    else
        key = built_in(library->ctx);
    if (!key || SSL_CTX_set0_tmp_dh_pkey(context->ssl_ctx, key) != 1) {
        EVP_PKEY_free(key);
        return err_set(e, E_CONFIG, "DH: could not set DH parameters: %s", diag_first(reason, sizeof reason));
    }
    return OK;
}
