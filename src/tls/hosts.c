#include "tls/hosts.h"

#include "tls/context_base.h"
#include "tls/engine_impl.h"
#include "tls/handshake_cb.h"
#include "tls/hello_ext.h"

#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
    return str_compare_nocase(((const struct tls_host *)a)->name, ((const struct tls_host *)b)->name);
}

void tls_hosts_sort(struct tls_hosts *hosts)
{
    if (hosts->n > 1)
        qsort(hosts->names, hosts->n, sizeof *hosts->names, by_name);
}

/* The one that serves the name; NULL: none. `name` with p == NULL: none was asked for. */
static struct tls_context *tls_hosts_find(const struct tls_hosts *hosts, struct str name)
{
    const struct tls_host key = { name, NULL };

    if (!name.p)
        return hosts->none ? hosts->none : hosts->any;
    const struct tls_host *found = hosts->n > 0 ? bsearch(&key, hosts->names, hosts->n, sizeof key, by_name)
                                                : NULL;
    return found ? found->context : hosts->any;
}

/* ---- a ClientHello ---- */

static int serve(SSL *ssl, struct tls_engine *e, struct tls_context *context, int *alert)
{
    if (e->chosen && e->served != context) { /* another name after a HelloRetryRequest */
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!SSL_set_SSL_CTX(ssl, context->ssl_ctx)) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(context->ssl_ctx),
                   SSL_CTX_get_verify_callback(context->ssl_ctx));
    e->served = context;
    e->chosen = true;
    return SSL_CLIENT_HELLO_SUCCESS;
}

static void keep_visit(struct tls_engine *e, const unsigned char *data, size_t n)
{
    if (n > TLS_VISIT_MAX)
        return;
    free(e->visit);
    e->visit = strndup((const char *)data, n);
}

/* Kept for the log line: OpenSSL has looked at nothing yet. */
static int refuse(SSL *ssl, struct tls_engine *e, struct str name, int *alert)
{
    const unsigned char *data;
    size_t n;

    if (SSL_client_hello_get0_ext(ssl, TLS_EXTENSION_VISIT, &data, &n) == 1)
        keep_visit(e, data, n);
    free(e->asked);
    e->asked = name.p ? strndup(name.p, name.n) : NULL;
    e->no_host = true;
    *alert = name.p ? SSL_AD_UNRECOGNIZED_NAME : TLS13_AD_MISSING_EXTENSION;
    return SSL_CLIENT_HELLO_ERROR;
}

/* OpenSSL shows an extension to those only who have one of that number. */
/* NOLINTNEXTLINE(readability-function-size): the parameters are OpenSSL's */
static int hear_visit(SSL *ssl, unsigned type, unsigned context, const unsigned char *data, size_t n,
                      X509 *cert, size_t at, int *alert, void *arg)
{
    struct tls_engine *e = (struct tls_engine *)SSL_get_app_data(ssl);

    (void)type, (void)context, (void)cert, (void)at, (void)alert, (void)arg;
    keep_visit(e, data, n);
    return 1;
}

static int hello_cb(SSL *ssl, int *alert, void *arg)
{
    struct tls_engine *e = (struct tls_engine *)SSL_get_app_data(ssl);
    const struct tls_hosts *hosts = arg;
    struct str name = str_of(NULL, 0);
    const unsigned char *data;
    size_t n;

    engine_note_hello(ssl);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &n) == 1 &&
        !hello_name(bytes_of(data, n), &name)) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    struct tls_context *context = tls_hosts_find(hosts, name);
    if (!context)
        return refuse(ssl, e, name, alert);
    int served = serve(ssl, e, context, alert);
    return served == SSL_CLIENT_HELLO_SUCCESS ? engine_ask_context(ssl, alert) : served;
}

bool tls_hosts_apply(const struct tls_hosts *hosts, struct tls_context *context)
{
    SSL_CTX_set_client_hello_cb(context->ssl_ctx, hello_cb, (void *)(uintptr_t)hosts);
    return SSL_CTX_add_custom_ext(context->ssl_ctx, TLS_EXTENSION_VISIT, SSL_EXT_CLIENT_HELLO, NULL, NULL,
                                  NULL, hear_visit, NULL) == 1;
}
