/*
 * The server side's context.
 *
 * The order of the steps is PostgreSQL's, because the first that fails is the one whose message is seen.
 * [src: PostgreSQL 18, be_tls_init]
 */
#include "tls/server_context.h"

#include "base/secret.h"
#include "os/files.h"
#include "pki/der.h"
#include "tls/context_base.h"
#include "tls/dh.h"
#include "tls/diag.h"
#include "tls/handshake_cb.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>

/* What TLS has room for in a CertificateRequest, less what else is there. [src: RFC 8446 §4.2.4] */
enum { CA_NAMES_MAX = 65535 - 512 };

/* With 8,192 bytes of room libpq takes such a record whole. What it has no room for stays inside its OpenSSL, and
 * then its asynchronous calls wait for the socket: before 14.24, 15.19, 16.15, 17.11 and 18.5 for ever. PostgreSQL
 * sends no longer ones up to version 16. [src: libpq, pqReadData; PostgreSQL 16, PQ_SEND_BUFFER_SIZE] */
enum { RECORD_MAX = 8192 };

struct passphrase_use {
    const struct tls_server_params *params;
    bool asked;   /* the key is protected with a passphrase */
    bool refused; /* the key asked for a passphrase that may not be given */
};

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 || isatty(STDIN_FILENO);
}

static int passphrase_cb(char *buf, int size, int writing, void *arg)
{
    struct passphrase_use *use = arg;
    struct secret *secret = use->params->passphrase;

    bool again = use->asked;
    use->asked = true;
    if (size <= 0)
        return -1;
    switch (use->params->passphrase_from) {
    case TLS_PASSPHRASE_REFUSE:
        use->refused = true;
        buf[0] = '\0';
        return 0;
    case TLS_PASSPHRASE_GIVEN:
        if (secret->n > (size_t)size)
            return -1;
        memcpy(buf, secret->p, secret->n);
        return (int)secret->n;
    case TLS_PASSPHRASE_PROMPT: {
        if (secret->n > 0 && secret->n <= (size_t)size) {
            memcpy(buf, secret->p, secret->n);
            return (int)secret->n;
        }
        if (again || !has_terminal()) /* OpenSSL asks once for each way to read a key */
            return -1;
        int n = PEM_def_callback(buf, size, writing, NULL);
        if (n > 0 && secret_set(secret, bytes_of(buf, (size_t)n)) != OK)
            return -1;
        return n;
    }
    }
    return -1;
}

/* A gate without peers answers as PostgreSQL does, which knows one protocol.
 * [src: RFC 7301; PostgreSQL 18, alpn_cb] */
static int alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in,
                   unsigned in_n, void *arg)
{
    const struct tls_context *context = arg;
    unsigned char *chosen;

    (void)ssl;
    const enum tls_protocol known[] = { context->protocol, TLS_PROTOCOL_CANCEL };

    for (size_t i = 0; i < (context->takes_cancels ? 2U : 1U); i++) {
        struct bytes name = protocol_alpn(known[i]);
        if (SSL_select_next_proto(&chosen, out_n, name.p, (unsigned)name.n, in, in_n) ==
            OPENSSL_NPN_NEGOTIATED) {
            *out = chosen;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void hint_key(const struct passphrase_use *use, struct err *e)
{
    if (!use->asked)
        der_hint(use->params->key_file, e);
    else if (use->params->passphrase_from == TLS_PASSPHRASE_PROMPT)
        err_hint(e, "The key is protected with a passphrase: set ssl_passphrase_command to a command that "
                    "prints it, or use a key without one.");
    else if (use->params->passphrase_from == TLS_PASSPHRASE_GIVEN)
        err_hint(e, "The key is protected with a passphrase: check what ssl_passphrase_command prints.");
}

static enum code use_pair(struct tls_context *c, const struct tls_pair *pair, struct err *e)
{
    char reason[DIAG_REASON_MAX];

    if (SSL_CTX_use_certificate(c->ssl_ctx, pair->cert) != 1 ||
        SSL_CTX_add1_chain_cert(c->ssl_ctx, pair->issuer) != 1 ||
        SSL_CTX_use_PrivateKey(c->ssl_ctx, pair->key) != 1)
        return err_set(e, E_INTERNAL, "could not use a certificate: %s", diag_first(reason, sizeof reason));
    return OK;
}

static enum code load_certificate(struct tls_context *c, const struct tls_server_params *p, struct err *e)
{
    struct passphrase_use use = { .params = p };
    char reason[DIAG_REASON_MAX];

    SSL_CTX_set_default_passwd_cb(c->ssl_ctx, passphrase_cb);
    SSL_CTX_set_default_passwd_cb_userdata(c->ssl_ctx, &use);
    enum code code = OK;
    if (SSL_CTX_use_certificate_chain_file(c->ssl_ctx, p->cert_file) != 1)
        code = context_unreadable(e, "load", "server certificate", p->cert_file);
    if (code == OK)
        code = os_check_key_file(p->key_file, e);
    if (code == OK && SSL_CTX_use_PrivateKey_file(c->ssl_ctx, p->key_file, SSL_FILETYPE_PEM) != 1) {
        if (use.refused)
            code = err_set(e, E_CONFIG,
                           "private key file \"%s\" cannot be reloaded because it requires a passphrase",
                           p->key_file);
        else {
            bool other = ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH ||
                         ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_TYPE_MISMATCH;
            code = err_set(e, other ? E_KEY_FIT : E_CONFIG, "could not load private key file \"%s\": %s",
                           p->key_file, diag_first(reason, sizeof reason));
            hint_key(&use, e);
        }
    }
    if (code == OK && SSL_CTX_check_private_key(c->ssl_ctx) != 1)
        code = err_set(e, E_KEY_FIT, "check of private key failed: %s", diag_first(reason, sizeof reason));
    SSL_CTX_set_default_passwd_cb(c->ssl_ctx, NULL);
    SSL_CTX_set_default_passwd_cb_userdata(c->ssl_ctx, NULL);
    ERR_clear_error();
    return code;
}

static enum code set_versions(struct tls_context *c, const struct tls_server_params *p, struct err *e)
{
    c->min_version = p->min_version;
    c->max_version = p->max_version;
    if (p->min_version && SSL_CTX_set_min_proto_version(c->ssl_ctx, (int)p->min_version) != 1)
        return err_set(e, E_CONFIG, "could not set minimum SSL protocol version");
    if (p->max_version && SSL_CTX_set_max_proto_version(c->ssl_ctx, (int)p->max_version) != 1)
        return err_set(e, E_CONFIG, "could not set maximum SSL protocol version");
    if (p->min_version && p->max_version && p->min_version > p->max_version) {
        err_set(e, E_CONFIG, "could not set SSL protocol version range");
        err_detail(e, "\"ssl_min_protocol_version\" cannot be higher than \"ssl_max_protocol_version\"");
        return E_CONFIG;
    }
    return OK;
}

static enum code set_ciphers(struct tls_context *c, const struct tls_server_params *p, struct err *e)
{
    if (SSL_CTX_set1_groups_list(c->ssl_ctx, (char *)(uintptr_t)p->groups) != 1) {
        unsigned long ecode = ERR_get_error();
        char reason[DIAG_REASON_MAX];
        err_set(e, E_CONFIG, "could not set group names specified in ssl_groups: %s",
                ecode ? diag_reason(ecode, reason, sizeof reason) : "No valid groups found");
        err_hint(e,
                 "Ensure that each group name is spelled correctly and supported by the installed version of "
                 "OpenSSL.");
        return E_CONFIG;
    }
    if (SSL_CTX_set_cipher_list(c->ssl_ctx, p->ciphers) != 1)
        return err_set(e, E_CONFIG, "could not set the TLSv1.2 cipher list (no valid ciphers available)");
    if (p->tls13_ciphers[0] && SSL_CTX_set_ciphersuites(c->ssl_ctx, p->tls13_ciphers) != 1)
        return err_set(e, E_CONFIG, "could not set the TLSv1.3 cipher suites (no valid ciphers available)");
    if (p->prefer_server_ciphers)
        SSL_CTX_set_options(c->ssl_ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    return OK;
}

static size_t names_length(const STACK_OF(X509_NAME) * names)
{
    size_t total = 0;

    for (int i = 0; i < sk_X509_NAME_num(names); i++) {
        const unsigned char *der;
        size_t n;
        if (X509_NAME_get0_der(sk_X509_NAME_value(names, i), &der, &n) == 1)
            total += 2 + n;
    }
    return total;
}

static enum code load_client_ca(struct tls_context *c, struct tls_library *library, const char *ca_file,
                                struct err *e)
{
    STACK_OF(X509_NAME) *names = NULL;

    if (!ca_file[0])
        return OK;
    if (SSL_CTX_load_verify_locations(c->ssl_ctx, ca_file, NULL) != 1 ||
        (names = SSL_load_client_CA_file_ex(ca_file, library->ctx, NULL)) == NULL)
        return context_unreadable(e, "load", "root certificate", ca_file);
    if (names_length(names) > CA_NAMES_MAX) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        (void)err_set(e, E_CONFIG, "the names of the CAs in file \"%s\" do not fit into a TLS handshake",
                      ca_file);
        err_hint(e, "Put only the CAs that sign client certificates into ssl_ca_file, not all roots of the "
                    "system.");
        return E_CONFIG;
    }
    SSL_CTX_set_client_CA_list(c->ssl_ctx, names);
    SSL_CTX_set_verify(c->ssl_ctx, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, engine_verify_cb);
    c->verifies_clients = true;
    return OK;
}

static enum code load_crl(struct tls_context *c, struct tls_library *library,
                          const struct tls_server_params *p, struct err *e)
{
    const char *file = p->crl_file[0] ? p->crl_file : NULL, *dir = p->crl_dir[0] ? p->crl_dir : NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl_ctx);
    char reason[DIAG_REASON_MAX];

    if (!file && !dir)
        return OK;
    if (X509_STORE_load_locations_ex(store, file, dir, library->ctx, NULL) == 1) {
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        return OK;
    }
    diag_first(reason, sizeof reason);
    if (!dir) {
        (void)err_set(e, E_CONFIG, "could not load SSL certificate revocation list file \"%s\": %s", file,
                      reason);
        der_hint(file, e);
        return E_CONFIG;
    }
    if (!file)
        return err_set(e, E_CONFIG, "could not load SSL certificate revocation list directory \"%s\": %s",
                       dir, reason);
    return err_set(e, E_CONFIG,
                   "could not load SSL certificate revocation list file \"%s\" or directory \"%s\": %s", file,
                   dir, reason);
}

/* On reload a bad file is only logged and the built-in group serves; at the start it stops the start. */
static enum code load_dh(struct tls_context *c, struct tls_library *library,
                         const struct tls_server_params *p, struct diags *diags, struct err *e)
{
    struct err why;

    if (dh_set(c, library, p->dh_params_file, &why) == OK)
        return OK;
    if (!p->reload) {
        *e = why;
        return why.code;
    }
    diags_add(diags, SEV_LOG, why.code, STR(""), 0, "%s", err_text(&why));
    return dh_set(c, library, "", e);
}

static enum code build(struct tls_context *c, struct tls_library *library, const struct tls_server_params *p,
                       struct diags *diags, struct err *e)
{
    TRY(p->pair ? use_pair(c, p->pair, e) : load_certificate(c, p, e));
    TRY(set_versions(c, p, e));
    SSL_CTX_set_options(c->ssl_ctx, SSL_OP_SINGLE_DH_USE | SSL_OP_SINGLE_ECDH_USE);
    SSL_CTX_set_num_tickets(c->ssl_ctx, 0);
    c->own_records = p->records == TLS_RECORDS_OWN;
    c->record_max = p->protocol == TLS_PROTOCOL_POSTGRESQL ? RECORD_MAX : 0;
    if (c->record_max && SSL_CTX_set_max_send_fragment(c->ssl_ctx, RECORD_MAX) != 1)
        return err_set(e, E_INTERNAL, "could not limit the length of TLS records");
    c->protocol = p->protocol;
    c->takes_cancels = p->takes_cancels;
    SSL_CTX_set_alpn_select_cb(c->ssl_ctx, alpn_cb, c);
    SSL_CTX_set_info_callback(c->ssl_ctx, engine_info_cb);
    SSL_CTX_set_client_hello_cb(c->ssl_ctx, engine_hello_cb, NULL);
    TRY(load_dh(c, library, p, diags, e));
    TRY(set_ciphers(c, p, e));
    TRY(load_client_ca(c, library, p->ca_file, e));
    TRY(load_crl(c, library, p, e));
    return context_remember_certificate(c, e);
}

enum code tls_server_context_new(struct tls_library *library, const struct tls_server_params *params,
                                 struct tls_context **out, struct diags *diags, struct err *e)
{
    struct tls_context *c = NULL;

    TRY(context_new(library, TLS_server_method(), &c, e));
    enum code code = build(c, library, params, diags, e);
    ERR_clear_error();
    if (code != OK) {
        tls_context_free(c);
        return code;
    }
    *out = c;
    return OK;
}
