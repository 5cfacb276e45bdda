/*
 * The client side's context: of the gate's upstream connections, and of `probe`.
 * [src: PostgreSQL 18, "SSL Support"; fe-secure-openssl.c initialize_SSL]
 */
#include "tls/client_context.h"

#include "pki/der.h"
#include "tls/context_base.h"
#include "tls/diag.h"
#include "tls/engine_impl.h"
#include "tls/handshake_cb.h"
#include "tls/hosts.h"
#include "tls/keylog.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>

/* A password that is not there is an empty one, so that nobody is asked on a terminal. */
static int no_prompt_cb(char *buf, int size, int writing, void *arg)
{
    (void)buf;
    (void)size;
    (void)writing;
    *(bool *)arg = true;
    return 0;
}

static bool holds_crl(X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++)
        if (X509_OBJECT_get_type(sk_X509_OBJECT_value(objects, i)) == X509_LU_CRL)
            return true;
    return false;
}

/* OpenSSL looks into the directory at handshakes only, and does not say when it finds none. */
static enum code check_crl_dir(const char *path, struct err *e)
{
    DIR *dir = opendir(path);

    if (!dir)
        return err_set(e, E_CONFIG, "could not open SSL certificate revocation list directory \"%s\": %m",
                       path);
    (void)closedir(dir);
    return OK;
}

/* libpq takes a CRL that cannot be read for none, without a word. */
static enum code load_crl(struct tls_context *c, struct tls_library *library,
                          const struct tls_client_params *p, struct err *e)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl_ctx);
    const char *file = p->crl_file[0] ? p->crl_file : NULL, *dir = p->crl_dir[0] ? p->crl_dir : NULL;
    char reason[DIAG_REASON_MAX];

    if (!file && !dir)
        return OK;
    if (p->crl_required && dir)
        TRY(check_crl_dir(dir, e));
    bool loaded = X509_STORE_load_locations_ex(store, file, dir, library->ctx, NULL) == 1;
    diag_first(reason, sizeof reason);
    ERR_clear_error();
    if (p->crl_required && !loaded) {
        (void)err_set(e, E_CONFIG, "could not load SSL certificate revocation list file \"%s\": %s",
                      file ? file : dir, reason);
        if (file)
            der_hint(file, e);
        return E_CONFIG;
    }
    if (p->crl_required && file && !holds_crl(store))
        return err_set(e, E_CONFIG, "no certificate revocation list found in file \"%s\"", file);
    if (loaded)
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return OK;
}

static enum code load_roots(struct tls_context *c, struct tls_library *library,
                            const struct tls_client_params *p, struct err *e)
{
    char reason[DIAG_REASON_MAX];

    if (!p->root_file[0])
        return OK;
    if (strcmp(p->root_file, "system") == 0) {
        if (SSL_CTX_set_default_verify_paths(c->ssl_ctx) != 1)
            return err_set(e, E_CONFIG, "could not load system root certificate paths: %s",
                           diag_first(reason, sizeof reason));
    } else {
        if (SSL_CTX_load_verify_locations(c->ssl_ctx, p->root_file, NULL) != 1)
            return context_unreadable(e, "read", "root certificate", p->root_file);
        TRY(load_crl(c, library, p, e));
    }
    SSL_CTX_set_verify(c->ssl_ctx, SSL_VERIFY_PEER, engine_verify_cb);
    return OK;
}

static enum code load_own(struct tls_context *c, const struct tls_client_params *p, struct err *e)
{
    char reason[DIAG_REASON_MAX];

    if (!p->cert_file[0])
        return OK;
    if (SSL_CTX_use_certificate_chain_file(c->ssl_ctx, p->cert_file) != 1)
        return context_unreadable(e, "read", "certificate", p->cert_file);
    if (p->key_password) /* the default callback takes the password from its argument */
        SSL_CTX_set_default_passwd_cb_userdata(c->ssl_ctx, (void *)(uintptr_t)p->key_password);
    else if (p->no_prompt)
        SSL_CTX_set_default_passwd_cb(c->ssl_ctx, no_prompt_cb);
    bool asked = false;
    if (!p->key_password && p->no_prompt)
        SSL_CTX_set_default_passwd_cb_userdata(c->ssl_ctx, &asked);
    bool loaded = SSL_CTX_use_PrivateKey_file(c->ssl_ctx, p->key_file, SSL_FILETYPE_PEM) == 1;
    if (!loaded) {
        diag_first(reason, sizeof reason); /* the PEM attempt's reason is the one to tell */
        loaded = SSL_CTX_use_PrivateKey_file(c->ssl_ctx, p->key_file, SSL_FILETYPE_ASN1) == 1;
    }
    SSL_CTX_set_default_passwd_cb_userdata(c->ssl_ctx, NULL);
    if (!loaded) {
        (void)err_set(e, E_CONFIG, "could not load private key file \"%s\": %s", p->key_file, reason);
        if (p->no_prompt && !p->key_password && asked)
            err_hint(e, "The key is protected with a passphrase: use a key without one.");
        return E_CONFIG;
    }
    if (SSL_CTX_check_private_key(c->ssl_ctx) != 1)
        return err_set(e, E_CONFIG, "certificate does not match private key file \"%s\": %s", p->key_file,
                       diag_first(reason, sizeof reason));
    return OK;
}

/* NOLINTNEXTLINE(readability-function-size): the parameters are OpenSSL's */
static int add_visit(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *out_n,
                     X509 *cert, size_t at, int *alert, void *visit)
{
    const struct tls_engine *e = (const struct tls_engine *)SSL_get_app_data(ssl);
    const char *said = e && e->visit ? e->visit : visit;

    (void)type, (void)context, (void)cert, (void)at, (void)alert;
    *out = (const unsigned char *)said;
    *out_n = strlen(said);
    return *out_n > 0;
}

static enum code say_visit(struct tls_context *c, const char *visit, struct err *e)
{
    if (visit && SSL_CTX_add_custom_ext(c->ssl_ctx, TLS_EXTENSION_VISIT, SSL_EXT_CLIENT_HELLO, add_visit,
                                        NULL, (void *)(uintptr_t)visit, NULL, NULL) != 1)
        return err_set(e, E_NOMEM, "out of memory");
    return OK;
}

static enum code set_limits(struct tls_context *c, const struct tls_client_params *p, struct err *e)
{
    char reason[DIAG_REASON_MAX];

    c->protocol = p->protocol;
    c->min_version = p->min_version;
    c->max_version = p->max_version;
    if (p->any_version) {
        SSL_CTX_set_security_level(c->ssl_ctx, 0);
        SSL_CTX_clear_options(c->ssl_ctx,
                              SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_TLSv1_2 | SSL_OP_NO_TLSv1_3);
    }
    if ((p->min_version || p->any_version) &&
        SSL_CTX_set_min_proto_version(c->ssl_ctx, (int)p->min_version) != 1)
        return err_set(e, E_CONFIG, "could not set minimum SSL protocol version: %s",
                       diag_first(reason, sizeof reason));
    if ((p->max_version || p->any_version) &&
        SSL_CTX_set_max_proto_version(c->ssl_ctx, (int)p->max_version) != 1)
        return err_set(e, E_CONFIG, "could not set maximum SSL protocol version: %s",
                       diag_first(reason, sizeof reason));
    if ((p->ciphers && SSL_CTX_set_cipher_list(c->ssl_ctx, p->ciphers) != 1) ||
        (p->tls13_ciphers && SSL_CTX_set_ciphersuites(c->ssl_ctx, p->tls13_ciphers) != 1) ||
        (p->groups && SSL_CTX_set1_groups_list(c->ssl_ctx, (char *)(uintptr_t)p->groups) != 1))
        return err_set(e, E_CONFIG, "could not set ciphers or groups: %s", diag_first(reason, sizeof reason));
    if (p->any_version && SSL_CTX_get_security_level(c->ssl_ctx) != 0)
        SSL_CTX_set_security_level(c->ssl_ctx, 0); /* a cipher string may carry @SECLEVEL */
    return OK;
}

enum code tls_client_context_new(struct tls_library *library, const struct tls_client_params *params,
                                 struct tls_context **out, struct err *e)
{
    struct tls_context *c = NULL;

    TRY(context_new(library, TLS_client_method(), &c, e));
    SSL_CTX_set_info_callback(c->ssl_ctx, engine_info_cb);
    SSL_CTX_set_cert_cb(c->ssl_ctx, engine_cert_cb, NULL);
    c->own_records = params->records == TLS_RECORDS_OWN;
    enum code code = set_limits(c, params, e);
    if (code == OK)
        code = load_roots(c, library, params, e);
    if (code == OK)
        code = load_own(c, params, e);
    if (code == OK)
        code = context_log_keys(c, params->keylog_file, e);
    if (code == OK)
        code = say_visit(c, params->visit, e);
    if (code == OK)
        code = context_remember_certificate(c, e);
    ERR_clear_error();
    if (code != OK) {
        tls_context_free(c);
        return code;
    }
    *out = c;
    return OK;
}
