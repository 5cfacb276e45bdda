#include "tls/handshake_cb.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "pki/name.h"
#include "tls/context_base.h"
#include "tls/engine_impl.h"
#include "tls/handover.h"
#include "tls/hello_ext.h"
#include "tls/hosts.h"

static struct tls_engine *engine_of(const SSL *ssl)
{
    return (struct tls_engine *)SSL_get_app_data(ssl);
}

void engine_info_cb(const SSL *ssl, int where, int ret)
{
    struct tls_engine *e = engine_of(ssl);

    if (e && where & SSL_CB_LOOP)
        handover_watch(e);
    if (!e || !(where & SSL_CB_ALERT))
        return;
    if (where & SSL_CB_READ)
        e->alert_received = (int16_t)(ret & 0xff);
    else
        e->alert_sent = (int16_t)(ret & 0xff);
}

static struct tls_hello read_hello(SSL *ssl)
{
    struct bytes cancel = protocol_alpn(TLS_PROTOCOL_CANCEL);
    struct tls_hello hello = { .served = engine_of(ssl)->served, .sni = STR(""), .visit = STR("") };
    const unsigned char *data;
    size_t n;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &n) == 1 &&
        !hello_name(bytes_of(data, n), &hello.sni))
        hello.sni = STR("");
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &n) == 1)
        hello.cancel = hello_has_protocol(bytes_of(data, n), bytes_from(cancel, 1));
    if (SSL_client_hello_get0_ext(ssl, TLS_EXTENSION_VISIT, &data, &n) == 1)
        hello.visit = str_of((const char *)data, n);
    return hello;
}

/* Ciphers, versions and groups stay what they are: the contexts differ in their certificates only. */
static bool ask_for_context(struct tls_engine *e)
{
    const struct tls_hello hello = read_hello(e->ssl);
    tls_hello_fn *ask = e->on_hello;

    e->on_hello = NULL;
    struct tls_context *context = ask(e->hello_arg, &hello);
    if (!context)
        return true;
    e->served = context;
    return SSL_set_SSL_CTX(e->ssl, context->ssl_ctx) == context->ssl_ctx;
}

/* Before TLS 1.3 a client told only its highest one. */
void engine_note_hello(SSL *ssl)
{
    struct tls_engine *e = engine_of(ssl);
    const unsigned char *data;
    size_t n;

    e->offered_max = (uint16_t)SSL_client_hello_get0_legacy_version(ssl);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &data, &n) == 1)
        hello_versions(bytes_of(data, n), &e->offered_min, &e->offered_max);
}

int engine_ask_context(SSL *ssl, int *alert)
{
    struct tls_engine *e = engine_of(ssl);

    if (!e->on_hello || ask_for_context(e))
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

int engine_hello_cb(SSL *ssl, int *alert, void *arg)
{
    (void)arg;
    engine_note_hello(ssl);
    return engine_ask_context(ssl, alert);
}

/* OpenSSL calls this on the client side only when the server has asked for a certificate. */
int engine_cert_cb(SSL *ssl, void *arg)
{
    struct tls_engine *e = engine_of(ssl);

    (void)arg;
    e->cert_requested = true;
    e->cert_sent = SSL_get_certificate(ssl) != NULL;
    return 1;
}

enum { DETAIL_MAX = 768, DETAIL_NAME_MAX = 71, DETAIL_ARENA = 1 << 17 };

/*
 * The end of a name is the telling part, so a long one loses its beginning [src: PostgreSQL 18, verify_cb].
 */
static void put_name_tail(struct buf *out, struct str name)
{
    if (name.n > DETAIL_NAME_MAX) {
        buf_append_c(out, "...");
        name = str_from(name, name.n - (DETAIL_NAME_MAX - 3));
    }
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c >= 32 && c <= 126)
            buf_append_byte(out, c);
        else
            buf_printf(out, "\\x%02x", c);
    }
}

static void describe_refused(struct tls_engine *e, X509_STORE_CTX *store)
{
    AUTO(arena) struct arena arena;
    AUTO(buf) struct buf text = BUF_INIT(DETAIL_MAX);
    struct str subject = STR("unknown"), issuer = STR("unknown"), serial = STR("unknown");
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    struct err ignored;

    arena_init(&arena, DETAIL_ARENA, 1024);
    if (cert) {
        (void)!name_slash(X509_get_subject_name(cert), &arena, &subject, &ignored);
        (void)!name_slash(X509_get_issuer_name(cert), &arena, &issuer, &ignored);
        (void)!name_serial_decimal(X509_get0_serialNumber(cert), &arena, &serial, &ignored);
    }
    buf_printf(&text, "%s certificate verification failed at depth %d: %s.\n",
               e->server ? "Client" : "Server", X509_STORE_CTX_get_error_depth(store),
               X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    buf_append_c(&text, "Failed certificate data (unverified): subject \"");
    put_name_tail(&text, subject);
    buf_printf(&text, "\", serial number %.*s, issuer \"", STR_ARG(serial));
    put_name_tail(&text, issuer);
    buf_append_c(&text, "\".");
    free(e->verify_detail);
    e->verify_detail = strdup(buf_c(&text));
}

int engine_verify_cb(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_engine *e = ssl ? engine_of(ssl) : NULL;

    if (!ok && e) {
        e->verify_error = X509_STORE_CTX_get_error(store);
        e->verify_depth = X509_STORE_CTX_get_error_depth(store);
        describe_refused(e, store);
    }
    return ok;
}
